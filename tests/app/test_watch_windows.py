"""A window is judged once, when it is over, on rows that do not depend on what came first."""

import random

import pytest
from watch_harness import NOW

from app.watch import join, requests, windows
from app.watch.windows import GRACE_SECONDS, Columns, Windows

SECONDS = 3600.0
START = NOW - NOW % SECONDS
"""Of a window."""

Verdict = tuple[float, list[float], list[float]]


def judge(ended: float, columns: Columns, scores: list[float]) -> Verdict:
    return ended, columns["x"], scores


def made(remembered: int = 3) -> Windows[Verdict]:
    return Windows(["x"], SECONDS, remembered)


def add(found: Windows[Verdict], now: float, *rows: tuple[str, float, float]) -> None:
    scored = [
        requests.Scored(
            time=time, id=name, model="m", version="7", features={"x": x}, score=x / 100
        )
        for name, time, x in rows
    ]
    found.add(scored, join.keys((each.id, each.row) for each in scored), now)


def test_a_window_is_judged_when_its_last_rows_must_be_there() -> None:
    found = made(1)
    end = START + SECONDS
    over = end + GRACE_SECONDS
    add(found, end, ("a", START, 1), ("b", end - 1, 2), ("c", end, 3))
    assert [ended for ended, _, _ in found.judge(over - 1, judge)] == [START]
    ((ended, values, scores),) = found.judge(over, judge)
    assert (ended, sorted(values), sorted(scores)) == (end, [1, 2], [0.01, 0.02])
    assert found.judge(over, judge) == []
    ((ended, values, _),) = found.judge(over + SECONDS, judge)
    assert (ended, values) == (end + SECONDS, [3])


def test_after_a_start_as_many_are_judged_as_are_remembered() -> None:
    found = made(3)
    now = START + GRACE_SECONDS
    add(found, now, *((str(hours), START - hours * SECONDS, hours) for hours in range(1, 6)))
    verdicts = found.judge(now, judge)
    assert [values for _, values, _ in verdicts] == [[3], [2], [1]]
    assert found.past == verdicts
    found.judge(now + SECONDS, judge)
    assert [values for _, values, _ in found.past] == [[2], [1], []]
    assert len(found._rows) == 0, "the rows of what is judged are let go"


def test_a_row_that_is_too_late_or_yet_to_come_is_left_out() -> None:
    found = made()
    now = START + GRACE_SECONDS
    found.judge(now, judge)
    add(found, now, ("late", START - 1, 1), ("ahead", now + GRACE_SECONDS + 1, 2))
    assert not found._rows
    add(found, now, ("right", START, 3))
    assert len(found._rows) == 1


def test_what_raises_is_judged_the_next_time() -> None:
    found = made(3)
    now = START + GRACE_SECONDS
    add(found, now, ("a", START - 1, 1))
    asked: list[float] = []

    def fails(ended: float, columns: Columns, scores: list[float]) -> Verdict:
        asked.append(ended)
        if len(asked) == 2:
            raise OSError("no")
        return judge(ended, columns, scores)

    with pytest.raises(OSError, match="no"):
        found.judge(now, fails)
    assert len(found.past) == 1
    verdicts = found.judge(now, judge)
    assert [ended for ended, _, _ in verdicts] == [START - SECONDS, START]
    assert verdicts[1][1] == [1]
    assert len(found.past) == 3


def test_of_too_many_rows_the_same_are_kept_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MOST_ROWS", 20)
    rows = [(str(number), START - 1.0, float(number)) for number in range(200)]
    verdicts = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)  # noqa: S311
        found = made(1)
        for row in rows:
            add(found, START, row)
            assert all(len(kept) <= 40 for kept in found._rows.values())
        ((_, values, _),) = found.judge(START + GRACE_SECONDS, judge)
        verdicts.append(values)
    assert len(verdicts[0]) == 20
    assert verdicts[0] == verdicts[1] == verdicts[2]
    assert sorted(verdicts[0]) != list(range(20)), "they are a sample, not the first"
