"""Pin and record move as one act: of several one wins, and the others are told by whom."""

import threading
from pathlib import Path

import pytest

from promotion import copying, moves, pins
from promotion.promote import promote
from promotion.record import Moved
from promotion.refusals import Conflict
from tests.unit.test_pins import a_pin
from tests.unit.two_stacks import MODEL, World, quiet
from tests.unit.two_stacks import world as make


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make(tmp_path, monkeypatch)


def test_of_eight_different_moves_one_wins_and_the_others_are_told_by_whom(world: World) -> None:
    start, lost = threading.Barrier(8), []

    def one(version: int) -> None:
        start.wait()
        try:
            moves.move(world.stack("prod"), MODEL, a_pin(version), expected=None, action="pin")
        except Conflict as conflict:
            lost.append(str(conflict))

    threads = [threading.Thread(target=one, args=(version,)) for version in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner, *others = world.records()
    assert winner.after == Moved.of(world.pin())
    assert [each.outcome for each in others] == ["conflict"] * 7
    assert len(lost) == 7
    assert all(f"{winner.who} moved it at" in text for text in lost)


def test_a_pin_that_moves_meanwhile_is_a_conflict(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(1)
    real = copying.copy_image

    def slow(*arguments: object) -> None:
        moves.move(world.stack("prod"), MODEL, a_pin(9), expected=None, action="pin")
        real(*arguments)  # ty: ignore[invalid-argument-type]

    monkeypatch.setattr(copying, "copy_image", slow)
    with pytest.raises(Conflict, match="moved it at"):
        promote(world.stack("prod"), MODEL, quiet)
    assert world.pin() == a_pin(9)
    assert [record.outcome for record in world.records()] == ["moved", "conflict"]


def test_a_pin_written_by_hand_is_recorded_as_found(world: World) -> None:
    pins.move(world.stack("prod").file, MODEL, a_pin(9), expected=None)
    world.serve(1)
    promote(world.stack("prod"), MODEL, quiet)
    found, moved = world.records()
    assert (found.after, found.action) == (Moved.of(a_pin(9)), "pin")
    assert "without a record" in str(found.reason)
    assert moved.before == found.after
