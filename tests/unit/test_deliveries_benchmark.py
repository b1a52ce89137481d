"""What the benchmarks of deliveries make of what they saw: who won, and what is whole."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import contest, kills, told
from benchmarks.stacks import whole
from benchmarks.stacks.world import Done
from infra.settings import Pin
from promotion.record import Moved, Record
from tests.unit.test_release import ZEROS, a_release

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LOWER = ["dev1", "dev2", "dev3"]
TOLD = Done(4, "moved meanwhile; operator-1@ferry.test moved it at noon")


def pin(version: int) -> Pin:
    return a_release(version=version).pin()


def record(outcome: str, action: str = "promote", *, of: int = 7, who: str = "1") -> Record:
    return Record.model_validate(
        {
            "sequence": 1, "previous": ZEROS, "at": NOW, "stack": "prod", "model": "credit-default",
            "action": action, "who": f"operator-{who}@ferry.test", "commit": None, "before": None,
            "after": Moved.of(pin(of)), "gates": [], "outcome": outcome, "reason": None,
        }
    )  # fmt: skip


def judged(
    records: Sequence[Record], ended: Sequence[Done], lower: Sequence[str] = LOWER, pins: int = 7
) -> contest.Round:
    """A round whose ledger had one record before it."""
    book = SimpleNamespace(verify=lambda: [record("moved", of=1), *records])
    world: Any = SimpleNamespace(ledger=lambda stack: book, pin=lambda stack: pin(pins))
    return contest.judged(world, lower, ended, 1, 1.0)


LOST = [record("conflict", who=str(who)) for who in (0, 2)]


def test_one_who_moved_it_and_others_who_were_told_are_a_fair_round() -> None:
    made = judged([record("moved"), *LOST], [TOLD, Done(0, ""), TOLD])
    assert (made.winner, made.wrong) == (1, [])


@pytest.mark.parametrize(
    ("records", "ended"),
    [
        ([record("moved"), record("moved"), record("conflict")], [TOLD, Done(0, ""), TOLD]),
        (LOST, [TOLD, TOLD, TOLD]),
        ([record("moved"), *LOST], [Done(0, ""), Done(0, ""), TOLD]),
        ([record("moved"), *LOST], [TOLD, Done(4, ""), TOLD]),
        ([record("moved"), *LOST], [Done(5, TOLD.text), Done(0, ""), TOLD]),
        ([record("moved"), *LOST], [Done(4, "moved"), Done(0, ""), TOLD]),
        ([record("moved"), LOST[0]], [TOLD, Done(0, ""), TOLD]),
    ],
    ids=["two", "none", "a loser's 0", "a winner's 4", "a 5", "by nobody", "not recorded"],
)
def test_any_other_end_is_wrong(records: list[Record], ended: list[Done]) -> None:
    assert judged(records, ended).wrong


def test_a_pin_that_is_not_what_was_recorded_is_wrong() -> None:
    assert judged([record("moved"), *LOST], [TOLD, Done(0, ""), TOLD], pins=8).wrong


def test_with_the_same_release_nobody_loses() -> None:
    same = ["dev1"] * 3
    assert judged([record("moved")], [Done(0, "")] * 3, same).wrong == []
    assert judged([record("moved")], [Done(0, ""), Done(0, ""), TOLD], same).wrong


def recorded(*new: tuple[str, str]) -> list[str]:
    records = [record(outcome, action) for action, outcome in new]
    return list(whole._recorded(records, [("rollback", "moved"), ("deliver", "live")]))


def test_each_record_stands_once_beside_attempts_that_failed() -> None:
    assert recorded(("rollback", "moved"), ("deliver", "failed"), ("deliver", "live")) == []
    assert recorded(("rollback", "moved"))
    assert recorded(("rollback", "moved"), ("rollback", "moved"), ("deliver", "live"))
    assert recorded(("rollback", "moved"), ("deliver", "live"), ("promote", "moved"))


def place(tmp_path: Path, *, pinned: int, lines: int, locked: bool = False) -> str:
    """Of a kill, where version 1 was pinned and four records were there when it began."""
    locks = tmp_path / ".pulumi/locks/organization/ferry/prod"
    if locked:
        locks.mkdir(parents=True)
        (locks / "one.json").write_text("{}")
    book = SimpleNamespace(lines=lambda: [b"\n"] * lines)
    world: Any = SimpleNamespace(
        backend=tmp_path, ledger=lambda stack: book, pin=lambda stack: pin(pinned)
    )
    return whole.place(world, "prod", pin(1), 4)


def test_where_a_kill_came_is_told_by_what_it_left(tmp_path: Path) -> None:
    assert place(tmp_path, pinned=1, lines=4) == "before anything moved"
    assert place(tmp_path, pinned=2, lines=4) == "between pin and record"
    assert place(tmp_path, pinned=2, lines=5) == "after the first record"
    assert place(tmp_path, pinned=2, lines=4, locked=True) == "while the engine was updating"


def test_kills_are_counted_by_command() -> None:
    seen = {"step": "pin", "target": "ferry", "place": "there", "repeated": 2.0, "wrong": []}
    found = list(kills.rows([seen, {**seen, "wrong": ["x"], "target": "pulumi", "repeated": 3.0}]))
    assert found == [("pin", "1 of 2", "1 ferry, 1 pulumi", "2 there", "3.0")]


def test_a_table_is_markdown_and_holds_its_bars_back() -> None:
    assert told.table(("a", "b"), [(1, None), ("x|y", "z\n")]) == (
        "| a | b |\n| --- | --- |\n| 1 |  |\n| x\\|y | z  |"
    )


def test_what_was_found_is_kept_as_json_where_a_folder_is_given(tmp_path: Path) -> None:
    told.write({"a": 1}, tmp_path / "deep", "found")
    assert json.loads((tmp_path / "deep/found.json").read_text()) == {"a": 1}
    told.write({"a": 1}, None, "found")
