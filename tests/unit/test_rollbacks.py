"""The program knows a rollback from the ledger that ferry writes; nothing else is one."""

from pathlib import Path
from typing import Any

import pytest

from infra.rollbacks import going_back
from infra.settings import Pin
from promotion import ledger
from promotion.record import Moved
from tests.unit.test_release import a_release

MODEL = "credit-default"
OLD, NEW = a_release(version=1).pin(), a_release(version=2).pin()
Step = tuple[str, str, Pin]


def told(folder: Path, *steps: Step, model: str = MODEL) -> Path:
    book = ledger.Ledger(folder / ledger.FOLDER / "dev.jsonl")
    for action, outcome, pin in steps:
        given: dict[str, Any] = {"action": action, "outcome": outcome, "after": Moved.of(pin)}
        book.append(model=model, who="me@ferry.test", commit="1" * 40, **given)
    return book.path


FORTH: tuple[Step, ...] = (("promote", "moved", NEW), ("deliver", "live", NEW))
BACK: tuple[Step, ...] = (*FORTH, ("rollback", "moved", OLD))


@pytest.mark.parametrize(
    ("steps", "pin", "back"),
    [
        (BACK, OLD, True),
        ((*BACK, ("deliver", "live", OLD)), OLD, True),
        ((*BACK, ("approve", "approved", NEW)), OLD, True),
        ((*BACK, ("delete", "moved", NEW)), OLD, True),
        ((*BACK, ("promote", "refused", NEW)), OLD, True),
        (BACK, NEW, False),
        (FORTH, NEW, False),
        ((*BACK, ("promote", "moved", NEW)), NEW, False),
        ((*BACK, ("pin", "moved", OLD)), OLD, False),
        ((*FORTH, ("rollback", "refused", OLD)), OLD, False),
        ((*BACK, ("deliver", "rolled-back", NEW)), NEW, False),
    ],
)
def test_a_rollback_is_what_moved_the_pin_last_to_what_it_is_now(
    tmp_path: Path, steps: tuple[Step, ...], pin: Pin, back: bool
) -> None:
    assert (going_back(told(tmp_path, *steps), {MODEL: pin}) == {MODEL}) == back


def test_one_model_that_goes_back_takes_no_other_along(tmp_path: Path) -> None:
    told(tmp_path, *BACK)
    assert going_back(told(tmp_path, *FORTH, model="other"), {MODEL: OLD, "other": OLD}) == {MODEL}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]\n", b"null\n", b'{"outcome": "moved"}\n'])
def test_lines_that_are_no_records_say_nothing(tmp_path: Path, damage: bytes) -> None:
    path = told(tmp_path, *BACK)
    path.write_bytes(path.read_bytes() + damage)
    assert going_back(path, {MODEL: OLD}) == {MODEL}
    path.write_bytes(damage)
    assert going_back(path, {MODEL: OLD}) == frozenset()


def test_without_a_ledger_every_release_is_judged(tmp_path: Path) -> None:
    assert going_back(tmp_path / "none.jsonl", {MODEL: OLD}) == frozenset()
