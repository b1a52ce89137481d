"""Ledgers answer an audit: what happened, what was live, and that nobody rewrote it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.outputs import StackOutputs
from promotion import auditing, ledger, pins
from promotion.record import Gate, Record
from promotion.refusals import DependencyDown, NeverUp
from promotion.stack import Stack
from tests.unit.test_ferry import DEV, OUTPUTS, SERVED
from tests.unit.test_ledger import NOON, a_moved, add, rewritten
from tests.unit.test_mirroring import Bucket
from tests.unit.test_pins import a_pin

app = typer.Typer()
for command in (auditing.history, auditing.live, auditing.diff, auditing.verify_ledger):
    app.command()(command)


def ferry(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def answer(*arguments: str) -> dict[str, Any]:
    done = ferry(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: ferry\nruntime: python\n")
    for stack in ("dev", "prod"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(DEV.replace("dev", stack))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def book(project: Path) -> ledger.Ledger:
    """A day in dev: version 1 promoted and live at noon, 2 refused, 3 live at two."""
    book = ledger.of(Stack("dev", project))
    gates = [
        Gate(name="metric", passed=True, saw=0.7812345678, wanted=0.75, text="AUC keeps it"),
        Gate(name="fairness", passed=False, saw=0.3, wanted=0.1),
    ]
    add(book, action="approve", outcome="approved", after=a_moved(1), who="boss@ferry.test")
    add(book, action="promote", outcome="moved", after=a_moved(1), gates=gates[:1])
    add(book, action="deliver", outcome="live", after=a_moved(1))
    refused = {
        "action": "promote",
        "outcome": "refused",
        "reason": "too [bold]unfair[/bold]\x1b[2J",
    }
    add(book, after=a_moved(2), gates=gates, at=NOON + timedelta(hours=1), **refused)
    add(book, after=a_moved(3), action="deliver", outcome="live", at=NOON + timedelta(hours=2))
    add(book, model="churn", action="deliver", outcome="live", at=NOON + timedelta(hours=3))
    return book


@pytest.mark.usefixtures("book")
def test_history_lists_every_attempt_or_those_of_one_model() -> None:
    assert [each["sequence"] for each in answer("history")["records"]] == [1, 2, 3, 4, 5, 6]
    one = answer("history", "churn")["records"]
    assert [each["model"] for each in one] == ["churn"]
    table = ferry("history").stdout
    assert "refused" in table
    assert "none → 2" in table


@pytest.mark.usefixtures("book")
def test_words_of_a_record_are_neither_style_nor_commands_to_the_terminal() -> None:
    table = ferry("history").stdout
    assert "[bold]" in table
    assert "\x1b" not in table


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-24T11:59:59Z", {}),
        ("2026-11-24T12:00:00Z", {"credit-default": 1}),
        ("2026-11-24t13:59:59.999z", {"credit-default": 1}),
        ("2026-11-24T15:59:59+02:00", {"credit-default": 1}),
        ("2026-11-24T14:00:00Z", {"credit-default": 3}),
        ("2026-11-23", {}),
        ("2026-11-24", {"credit-default": 3, "churn": 1}),
        ("2999-01-01", {"credit-default": 3, "churn": 1}),
    ],
)
def test_live_tells_what_a_moment_or_a_days_end_was_like(at: str, expected: dict[str, int]) -> None:
    models = answer("live", "--at", at)["models"]
    assert {name: each["release"]["version"] for name, each in models.items()} == expected


@pytest.mark.usefixtures("book")
def test_nobody_is_told_what_is_live_in_times_to_come() -> None:
    assert answer("live", "--at", "2999-01-01")["at"] < "2999"


def test_live_names_who_moved_it_by_which_gates_and_who_approved(book: ledger.Ledger) -> None:
    found = answer("live", "--at", "2026-11-24T12:30:00Z")["models"]["credit-default"]
    assert found["since"] == "2026-11-24T12:00:00Z"
    assert found["moved"]["who"] == "ann@ferry.test"
    assert found["moved"]["gates"][0]["saw"] == 0.7812345678
    assert [each["who"] for each in found["approvals"]] == ["boss@ferry.test"]
    said = ferry("live", "--at", "2026-11-24T12:30:00Z").stdout
    for words in ("boss@ferry.test", "passed metric: saw 0.781235, wanted 0.75", "record 3:"):
        assert words in said
    assert book.verify()


def test_what_a_clock_ahead_wrote_is_live_now(project: Path) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    add(ledger.of(Stack("dev", project)), action="deliver", outcome="live", at=ahead)
    assert answer("live")["models"].keys() == {"credit-default"}


@pytest.mark.parametrize(
    "at", ["noon", "2026-11-24T12:00:00", "2026-02-30", "2026-11-24T25:00:00Z", "1764000000", ""]
)
def test_a_time_that_is_none_is_a_usage_error(project: Path, at: str) -> None:
    refused = ferry("live", f"--at={at}")
    assert refused.exit_code == 2
    assert "like 2026-11-24T12:00:00Z" in refused.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", ["history", "live"])
def test_a_ledger_that_is_not_there_is_empty_and_an_unknown_stack_is_named(command: str) -> None:
    assert ferry(command).exit_code == 0
    refused = ferry(command, "--stack", "prd")
    assert refused.exit_code == 2
    assert "stacks are: dev, prod" in refused.stderr


@pytest.mark.parametrize("command", ["history", "live", "verify-ledger"])
def test_nothing_is_told_from_a_broken_ledger(book: ledger.Ledger, command: str) -> None:
    lines = book.lines()
    lines[1] = rewritten(lines[1], who="eve@ferry.test")
    book.path.write_bytes(b"".join(lines))
    refused = ferry(command)
    assert refused.exit_code == 3
    assert "ledger/dev.jsonl: line 2: it was altered" in refused.stderr


def test_verification_tells_the_end_of_each_ledger_and_all_that_are_broken(
    project: Path, book: ledger.Ledger
) -> None:
    found = answer("verify-ledger")["ledgers"]
    assert [(each["stack"], each["records"]) for each in found] == [("dev", 6), ("prod", 0)]
    assert found[0]["last"] == add(book).previous
    (project / "Pulumi.dev.yaml").unlink()
    assert [each["stack"] for each in answer("verify-ledger")["ledgers"]] == ["dev", "prod"]
    other = ledger.of(Stack("prod", project))
    for path in (book.path, other.path):
        path.write_bytes(b"{}\n")
    refused = ferry("verify-ledger", "--json")
    assert refused.exit_code == 3
    assert "ledger/dev.jsonl: line 1" in refused.stderr
    assert "ledger/prod.jsonl: line 1" in refused.stderr
    assert all(each["broken"] for each in json.loads(refused.stdout)["ledgers"])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Dev's; prod was never up."""
    found = Bucket()

    def of(stack: Stack) -> Bucket:
        if stack.name == "prod":
            raise NeverUp("prod was never brought up here")
        return found

    monkeypatch.setattr(Stack, "bucket", of)
    return found


def test_against_the_mirror_a_cut_or_rewritten_end_is_broken(
    book: ledger.Ledger, bucket: Bucket
) -> None:
    bucket.stored = Bucket(*book.lines()[:5]).stored
    assert answer("verify-ledger", "--mirror")["ledgers"][0]["unmirrored"] == 1
    lines = book.lines()
    book.path.write_bytes(b"".join(lines[:4]))
    refused = ferry("verify-ledger", "--mirror")
    assert refused.exit_code == 3
    assert "ends at record 4" in refused.stderr
    assert ferry("verify-ledger").exit_code == 0
    book.path.unlink()
    assert ferry("verify-ledger", "--mirror").exit_code == 3
    book.path.write_bytes(b"".join([*lines[:4], rewritten(lines[4], who="eve@ferry.test")]))
    assert "line 5: the bucket's" in ferry("verify-ledger", "--mirror").stderr


def test_records_of_a_stack_without_a_bucket_cannot_be_held_against_one(
    project: Path, bucket: Bucket
) -> None:
    assert ferry("verify-ledger", "--mirror").exit_code == 0
    add(ledger.of(Stack("prod", project)))
    refused = ferry("verify-ledger", "--mirror")
    assert refused.exit_code == 5
    assert "prod was never brought up here" in refused.stderr


def test_two_stacks_are_compared_by_what_they_pin_and_serve(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins.move(project / "Pulumi.dev.yaml", "churn", a_pin(2), expected=None)
    pins.move(project / "Pulumi.prod.yaml", "churn", a_pin(1), expected=None)
    monkeypatch.setattr(Stack, "outputs", StackOutputs.read({**OUTPUTS, "models": {"m": SERVED}}))
    assert answer("diff", "dev", "prod") == {
        "stacks": ["dev", "prod"],
        "compared": ["pins", "served releases"],
        "differences": [{"model": "churn", "field": "pin.version", "dev": 2, "prod": 1}],
    }
    assert "pin.version" in ferry("diff", "dev", "prod").stdout
    assert "have the same pins and served releases" in ferry("diff", "dev", "dev").stdout


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("refusal", [NeverUp("never up"), DependencyDown("no engine")])
def test_without_outputs_pins_alone_are_compared_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def none(_: Stack) -> None:
        raise refusal

    monkeypatch.setattr(Stack, "outputs", property(none))
    done = ferry("diff", "dev", "prod", "--json")
    assert json.loads(done.stdout)["compared"] == ["pins"]
    assert f"what dev serves is not compared: {refusal}" in done.stderr


def test_records_are_shown_whole(book: ledger.Ledger) -> None:
    shown = answer("history")["records"]
    assert [Record.model_validate(each) for each in shown] == book.records()
