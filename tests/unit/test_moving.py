"""The commands that move releases: one JSON document each, fixed exit codes, a Git change."""

import json
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from promotion import deliver, engine, moving, rollback
from tests.unit.two_stacks import MODEL, World
from tests.unit.two_stacks import world as make

app = typer.Typer()
for command in (
    moving.gates, moving.approve, moving.promote, moving.rollback, moving.plan, moving.deliver,
    moving.release_delete,
):  # fmt: skip
    app.command()(command)


def ferry(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = make(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.email", "me@ferry.test")
    git("config", "user.name", "Me")
    git("add", "--all")
    git("commit", "--quiet", "--message=first")
    made.serve(1)
    return made


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_promotion_is_one_json_document_with_every_gate(world: World) -> None:
    said = json.loads(ferry("promote", MODEL, "--to", "prod", "--json").stdout)
    assert (said["outcome"], said["from"], said["release"]["version"]) == ("moved", "dev", 1)
    assert len(said["gates"]) == 12
    again = json.loads(ferry("promote", MODEL, "--to", "prod", "--json").stdout)
    assert again["outcome"] == "nothing"


def test_a_refused_promotion_exits_with_3_and_names_the_gate(world: World) -> None:
    world.silent.add("dev")
    refused = ferry("promote", MODEL, "--to", "prod")
    assert refused.exit_code == 3
    assert "health: dev answers" in refused.stderr
    judged = ferry("gates", MODEL, "--to", "prod", "--json")
    assert judged.exit_code == 3
    gates = json.loads(judged.stdout)["gates"]
    assert [gate["name"] for gate in gates if not gate["passed"]] == ["health"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("promote", MODEL, "--to", "dev"),
        ("promote", "No Name", "--to", "prod"),
        ("promote", MODEL, "--to", "prod", "--commit", "--branch", "b"),
        ("approve", MODEL, "--stack", "dev"),
        ("deliver", "--plan", "none.json"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_what_cannot_be_meant_is_a_usage_error(world: World, arguments: tuple[str, ...]) -> None:
    effects = world.effects
    assert ferry(*arguments).exit_code == 2
    assert world.effects == effects


def test_a_commit_holds_stack_file_and_ledger_and_leaves_the_rest_of_the_index(
    world: World,
) -> None:
    Path("other").write_text("x")
    git("add", "other")
    assert ferry("promote", MODEL, "--to", "prod", "--commit").exit_code == 0
    names = git("show", "--name-only", "--format=", "HEAD").split()
    assert sorted(names) == ["Pulumi.prod.yaml", "ledger/prod.jsonl"]
    message = git("show", "--no-patch", "--format=%B", "HEAD")
    assert message.startswith(f"prod: {MODEL} to version 1")
    assert "| metric | yes |" in message
    assert "A  other" in git("status", "--porcelain")
    head = git("rev-parse", "HEAD")
    assert ferry("promote", MODEL, "--to", "prod", "--commit").exit_code == 0
    assert git("rev-parse", "HEAD") == head


def test_a_branch_takes_the_change_and_the_checked_out_one_stays(world: World) -> None:
    head = git("rev-parse", "HEAD")
    assert ferry("promote", MODEL, "--to", "prod", "--branch", "to-prod").exit_code == 0
    assert git("rev-parse", "HEAD") == head
    assert git("rev-parse", "to-prod^") == head
    changed = git("diff", "--name-only", "main", "to-prod").split()
    assert changed == ["Pulumi.prod.yaml", "ledger/prod.jsonl"]
    tip = git("rev-parse", "to-prod")
    ferry("promote", MODEL, "--to", "prod", "--branch", "to-prod")
    assert git("rev-parse", "to-prod") == tip
    assert ferry("promote", MODEL, "--to", "prod", "--branch", "main").exit_code == 2


def test_a_commit_that_was_missed_is_made_by_the_same_command_again(world: World) -> None:
    ferry("promote", MODEL, "--to", "prod")
    said = ferry("promote", MODEL, "--to", "prod", "--commit", "--json")
    assert json.loads(said.stdout)["commit"] == git("rev-parse", "HEAD")
    assert git("status", "--porcelain", "Pulumi.prod.yaml") == ""


def test_a_delivery_that_was_put_back_exits_with_3_and_the_reason(world: World) -> None:
    world.bad.add(2)
    ferry("promote", MODEL, "--to", "prod")
    ferry("deliver", "--stack", "prod")
    world.bad.clear()
    world.serve(2)
    ferry("promote", MODEL, "--to", "prod")
    world.bad.add(2)
    refused = ferry("deliver", "--stack", "prod", "--json")
    assert refused.exit_code == 3
    assert f"{MODEL}: bad" in refused.stderr
    said = json.loads(refused.stdout)
    assert said["putBack"] == {MODEL: "bad"}
    assert said["serves"][MODEL]["version"] == 1
    assert ferry("deliver", "--stack", "prod").exit_code == 0


def test_a_rollback_delivers_unless_it_is_to_be_reviewed(world: World) -> None:
    world.serve(2)
    said = json.loads(ferry("rollback", MODEL, "--no-deliver", "--json").stdout)
    assert said["release"]["version"] == 1
    assert world.served["dev"][MODEL].version == 2
    assert ferry("rollback", MODEL).exit_code == 0
    assert world.served["dev"][MODEL].version == 1
    again = ferry("rollback", MODEL)
    assert (again.exit_code, "--version" in again.output) == (0, True)
    assert world.served["dev"][MODEL].version == 1
    refused = ferry("rollback", MODEL, "--version", "7")
    assert refused.exit_code == 3
    assert "those that were: 1, 2" in refused.stderr


def test_a_rollback_holds_a_pin_that_it_moved_against_the_registries_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    for module in (rollback, deliver):
        monkeypatch.setattr(
            module,
            "verify",
            lambda stack, pins: held.extend(each.version for each in pins.values()),
        )
    world.serve(2)
    held.clear()
    assert ferry("rollback", MODEL).exit_code == 0
    assert held == [1]
    assert ferry("rollback", MODEL).exit_code == 0
    assert held == [1, 1], "a pin that was moved before is held against them like any other"


def test_a_rollback_takes_the_outputs_for_what_they_were(world: World) -> None:
    read = {"environment": "dev"}
    before = world.stack("dev")
    vars(before)["_raw"] = read
    assert before.settings.pins[MODEL].version == 1
    world.serve(2)
    now = before.reread()
    assert (now.settings.pins[MODEL].version, now._raw) == (2, read)
    assert "_raw" not in vars(world.stack("dev").reread())


def test_an_approval_is_given_once(world: World) -> None:
    for new in (True, False):
        said = json.loads(ferry("approve", MODEL, "--stack", "prod", "--json").stdout)
        assert said["new"] == new
    assert [each.outcome for each in world.records()] == ["approved"]


def test_a_pinned_version_is_not_deleted(world: World) -> None:
    refused = ferry("release-delete", MODEL, "--version", "1")
    assert refused.exit_code == 3
    assert "is pinned by Pulumi.dev.yaml" in refused.stderr
    world.serve(2)
    said = ferry("release-delete", MODEL, "--version", "1", "--json")
    assert json.loads(said.stdout)["deleted"]


def test_a_plan_is_written_for_review_and_refused_once_stale(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "export", lambda stack: {"resources": []})
    monkeypatch.setattr(engine, "preview", lambda stack: [{"op": "create", "urn": "a::b::c"}])
    said = ferry("plan", "--out", "plan.json", "--json")
    assert json.loads(said.stdout) == json.loads(Path("plan.json").read_text())
    assert ferry("deliver", "--plan", "plan.json").exit_code == 0
    world.set("dev", "lockDays: 1", "lockDays: 2")
    refused = ferry("deliver", "--plan", "plan.json")
    assert refused.exit_code == 4
    assert "nothing was applied" in refused.stderr
