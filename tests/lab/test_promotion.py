"""Releases between two stacks: promoted, judged as a canary, refused, put back, rolled back."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.lab.clone import Clone, cloned

pytestmark = pytest.mark.lab

MODEL = "credit-default"
LOWER, UPPER = "lower", "upper"
URL = f"http://{MODEL}.{UPPER}.ferry.test/predict"
CANARY = "delivery: {kind: canary, steps: [50], minimumRequests: 300, deadline: 4m}"
RATE = 40  # requests a second


class Load:
    """An open loop of one row: a request is due whether the one before was answered or not."""

    def __init__(self, body: bytes) -> None:
        self.answers: Counter[str] = Counter()
        self._body = body
        self._over = threading.Event()

    def __enter__(self) -> "Load":
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()

    def _tick(self) -> None:
        due = time.monotonic()
        asking = []
        while not self._over.is_set():
            asking.append(threading.Thread(target=self._ask, daemon=True))
            asking[-1].start()
            due += 1 / RATE
            time.sleep(max(0, due - time.monotonic()))
        for each in asking:
            each.join()

    def _ask(self) -> None:
        try:
            answer = requests.post(URL, data=self._body, timeout=20)
            told = answer.json()["version"] if answer.ok else f"{answer.status_code}"
        except requests.RequestException as error:
            told = repr(error)
        self.answers[told] += 1


class Two(Clone):
    """The clone whose own stack is the lower one, and commands on the upper."""

    def on_upper(self, command: str, *arguments: str, code: int = 0) -> str:
        return self.run(".venv/bin/ferry", command, "--stack", UPPER, *arguments, code=code)

    def promote(self, code: int = 0) -> str:
        return self.run(".venv/bin/ferry", "promote", MODEL, "--to", UPPER, code=code)

    def commit(self, message: str) -> None:
        self.run("git", "commit", "--all", "--quiet", "--message", message)

    def release(self) -> None:
        """What the working tree gives as the newest version, served by the lower stack."""
        self.make("release")
        self.ferry("deliver")

    def ledger(self) -> list[dict[str, Any]]:
        lines = (self.folder / f"ledger/{UPPER}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def pinned(self) -> int:
        """The version that the upper stack's file pins."""
        return int(
            re.findall(r"version: (\d+)", (self.folder / f"Pulumi.{UPPER}.yaml").read_text())[0]
        )

    def changes_nothing(self) -> bool:
        environment = self.folder / "upper.sh"
        environment.write_text(
            f'eval "$(make -s env STACK={UPPER})"; '
            f"pulumi preview --stack {UPPER} --expect-no-changes --non-interactive\n"
        )
        self.run("bash", str(environment))
        environment.unlink()
        return True

    @property
    def row(self) -> bytes:
        return (self.folder / "app/data/lending-club/row.json").read_bytes()

    def score(self) -> bytes:
        return requests.post(URL, data=self.row, timeout=20).content


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has not one {old!r}"
    file.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Both stacks up, the upper with what was promoted from the lower."""
    clone = cloned(tmp_path_factory.mktemp("promotion") / "ferry", LOWER, MODEL, Two)
    clone.leave_no_lab(UPPER)
    clone.borrow_libraries()
    settings = re.sub(r" +road: .*\n", "", clone.file.read_text())  # no jobs: another test's
    clone.file.write_text(settings)
    upper = settings.replace(f"environment: {LOWER}", f"environment: {UPPER}\n    below: {LOWER}")
    (clone.folder / f"Pulumi.{UPPER}.yaml").write_text(
        upper.replace(f"{LOWER}.ferry.test", f"{UPPER}.ferry.test").replace(
            "gates:", f"{CANARY}\n        gates:"
        )
    )
    clone.run("git", "add", "--all")
    clone.commit("Two stacks")
    try:
        clone.make("up")
        clone.enter()
        clone.run("make", "up", f"STACK={UPPER}")
        yield clone
    finally:
        clone.make("purge")
        clone.run("make", "purge", f"STACK={UPPER}")


def test_a_promoted_release_serves_above_what_it_serves_below(two: Two) -> None:
    below = requests.post(URL.replace(UPPER, LOWER), data=two.row, timeout=20).content
    assert two.score() == below
    outcomes = [(each["action"], each["outcome"]) for each in two.ledger()]
    assert outcomes == [("promote", "moved"), ("deliver", "live")]
    assert all(gate["passed"] for gate in two.ledger()[0]["gates"])
    assert two.changes_nothing()


def test_what_the_stack_below_only_pins_is_refused(two: Two) -> None:
    change(
        two.folder / "app/models/credit_default.py", "Credit default:", "Second: credit default:"
    )
    two.commit("A second version")
    two.make("release")
    assert "served" in two.promote(code=3)
    assert two.pinned() == 1
    assert two.ledger()[-1]["outcome"] == "refused"


def test_a_good_canary_is_promoted_without_a_failed_request(two: Two) -> None:
    two.ferry("deliver")
    two.promote()
    with Load(two.row) as load:
        two.on_upper("deliver")
        time.sleep(5)
    assert set(load.answers) == {"1", "2"}
    assert two.ledger()[-1]["outcome"] == "live"
    assert json.loads(two.score())["version"] == "2"
    assert two.changes_nothing()


def test_a_rollback_gives_the_former_release_byte_for_byte(two: Two) -> None:
    two.promote()  # is promoted already
    row = two.row
    with Load(row) as load:
        two.run(".venv/bin/ferry", "rollback", MODEL, "--stack", UPPER)
    assert set(load.answers) <= {"1", "2"}
    below = json.loads(two.score())
    assert below["version"] == "1"
    assert two.pinned() == 1
    assert two.changes_nothing()


def test_a_fast_but_wrong_version_is_put_back_with_the_judges_reason(two: Two) -> None:
    change(
        two.folder / "app/serving/inference.py",
        "question.answer(own)",
        "question.answer([1 - score for score in own])",
    )
    change(two.folder / "app/models/credit_default.py", "Second: credit", "Third: credit")
    two.commit("A wrong version")
    two.release()
    before = two.score()
    two.promote()
    with Load(two.row) as load:
        printed = two.on_upper("deliver", code=3)
    assert "answers flipped" in printed, printed
    assert two.pinned() == 1
    assert two.score() == before
    record = two.ledger()[-1]
    assert (record["outcome"], record["before"]["version"]) == ("rolled-back", 3)
    assert record["reason"].startswith("answers far apart")
    assert set(load.answers) <= {"1", "3"}
    assert two.changes_nothing()


def test_the_auditor_reads_what_was_live_and_why(two: Two) -> None:
    live = json.loads(two.on_upper("live", "--json"))["models"][MODEL]
    assert live["release"]["version"] == 1
    assert (live["delivered"]["outcome"], live["moved"]["action"]) == ("live", "rollback")
    two.run(".venv/bin/ferry", "verify-ledger")
