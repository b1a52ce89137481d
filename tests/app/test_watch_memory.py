"""What the bucket holds is read once, whatever comes late, broken or again, and after a restart."""

import gzip
import json
import random
from typing import Any

import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore
from watch_harness import DAY, HOUR, NAME, NOW, Counting, label, line, log, pairs, put

from app.watch import join, outcomes
from app.watch.memory import Memory
from app.watch.windows import Windows

DAYS = 10


@pytest.fixture
def bucket() -> MemoryStore:
    return MemoryStore()


def never() -> bool:
    return False


def _down(*_: object, **__: object) -> None:
    raise obstore.exceptions.GenericError("down")


class Watching:
    """A memory and its windows, which look when they are told to."""

    def __init__(self, bucket: MemoryStore) -> None:
        self.memory = Memory(bucket, NAME, 7, DAYS)
        self.windows: Windows[int] = Windows(["x"], HOUR, 3)
        self.broken = 0

    def look(self, now: float = NOW) -> "Watching":
        self.broken += self.memory.look_for_requests(now, self.windows, never)
        self.broken += self.memory.look_for_outcomes(now, never)
        return self

    def joined(self, version: int = 7) -> list[tuple[float, int]]:
        found = self.memory.joined(since=0, until=NOW).get(version)
        return [] if found is None else pairs(found)

    @property
    def state(self) -> tuple[bytes, bytes]:
        return self.memory._predictions.tobytes(), self.memory._outcomes.tobytes()


def test_rows_and_outcomes_are_read_and_joined(bucket: MemoryStore) -> None:
    log(bucket, "a", [line("r1", NOW - DAY, 0.25), line("r2", NOW - DAY, 0.75)])
    log(bucket, "b", [line("r3", NOW - 60, 0.5, row=1)])
    label(bucket, NOW - 10, {"r1": 0, "r3": 1})
    assert Watching(bucket).look().joined() == [(0.25, 0), (0.5, -1), (0.75, -1)]


def test_an_object_is_fetched_once(bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    log(bucket, "a", [line("r1", NOW - 60)])
    counting = Counting(monkeypatch)
    watching = Watching(bucket).look().look(NOW + 60)
    key = log(bucket, "b", [line("r2", NOW + 30)])
    watching.look(NOW + 120)
    assert len(counting.got) == 2
    assert counting.got[1] == key


def test_old_hours_are_not_listed_again(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in range(100):
        log(bucket, "a", [line(f"r{hours}", NOW - hours * HOUR)])
    counting = Counting(monkeypatch)
    watching = Watching(bucket).look()
    assert len(counting.listed) == 100
    counting.listed.clear()
    watching.look(NOW + 60)
    assert 1 <= len(counting.listed) <= 4


def test_what_is_older_than_the_window_is_not_even_listed(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(bucket, "a", [line("old", NOW - (DAYS + 1) * DAY), line("new", NOW)])
    counting = Counting(monkeypatch)
    assert Watching(bucket).look().memory.size == (0, 0)
    assert not counting.listed


def test_what_leaves_the_window_is_forgotten(bucket: MemoryStore) -> None:
    log(bucket, "a", [line("r1", NOW - 1)])
    watching = Watching(bucket).look()
    assert watching.memory.size == (1, 0)
    assert watching.look(NOW + DAYS * DAY).memory.size == (0, 0)


@pytest.mark.parametrize("late", [HOUR, 1.9 * HOUR])
def test_an_object_that_is_late_by_hours_is_found_at_once(bucket: MemoryStore, late: float) -> None:
    watching = Watching(bucket).look()
    log(bucket, "a", [line("r1", NOW + 60 - late)])
    assert watching.look(NOW + 60).memory.size == (1, 0)


def test_an_object_that_is_late_by_a_day_is_found_within_the_hour(bucket: MemoryStore) -> None:
    watching = Watching(bucket).look()
    log(bucket, "a", [line("r1", NOW - DAY)])
    assert watching.look(NOW + 60).memory.size == (0, 0)
    assert watching.look(NOW + HOUR).memory.size == (1, 0)


def test_after_an_outage_of_days_nothing_is_missing(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(bucket, "a", [line("r0", NOW)])
    watching = Watching(bucket).look()
    for hours in range(1, 96):
        log(bucket, "a", [line(f"r{hours}", NOW + hours * HOUR)])
    with monkeypatch.context() as down:
        down.setattr(obstore, "get", _down)
        with pytest.raises(obstore.exceptions.BaseError):
            watching.look(NOW + 95 * HOUR)
    assert watching.look(NOW + 96 * HOUR).memory.size == (96, 0)


def test_an_object_that_could_not_be_taken_is_given_again(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(bucket, "a", [line("r1", NOW)])
    watching = Watching(bucket)
    with monkeypatch.context() as broken:
        broken.setattr("app.watch.requests.predictions", _down)
        with pytest.raises(obstore.exceptions.BaseError):
            watching.look()
    assert watching.look(NOW + 60).memory.size == (1, 0)


def _broken() -> dict[str, bytes]:
    whole = gzip.compress(b"".join(json.dumps(line("r", NOW)).encode() + b"\n" for _ in range(9)))

    def one(**changed: object) -> bytes:
        return gzip.compress(json.dumps({**line("r", NOW), **changed}).encode())

    return {
        "empty": b"",
        "no gzip": b"{}",
        "cut off": whole[:-9],
        "with something behind it": whole + b"x",
        "no JSON": gzip.compress(b"{\n"),
        "half a line": gzip.compress(json.dumps(line("r", NOW)).encode()[:-5]),
        "no UTF-8": gzip.compress(b'{"id":"\xff"}'),
        "another field": one(extra=1),
        "of another model": one(model="other"),
        "of another version": one(version="8"),
        "with other features": one(features={"y": 1}),
        "without a feature": one(features={}),
        "with a score that is none": one(score=1.5),
        "with a time that is none": one(time="now"),
        "with a row that is none": one(row=-1),
    }


@pytest.mark.parametrize("name", _broken())
def test_a_broken_object_is_counted_once_and_the_others_are_read(
    bucket: MemoryStore, name: str
) -> None:
    place = log(bucket, "a", [line("before", NOW)]).rpartition("/")[0]
    put(bucket, f"{place}/b.jsonl.gz", _broken()[name])
    log(bucket, "c", [line("after", NOW)])
    watching = Watching(bucket).look()
    assert watching.memory.size == (2, 0), "nothing of the broken one is taken"
    assert watching.broken == 1
    assert watching.look(NOW + 60).broken == 1


def test_an_object_that_unpacks_without_end_is_broken(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.watch.lines.MOST_BYTES", 1000)
    log(bucket, "a", [line(f"r{row}", NOW) for row in range(20)])
    assert Watching(bucket).look().broken == 1


def test_a_broken_object_of_outcomes_is_counted_and_the_others_are_read(
    bucket: MemoryStore,
) -> None:
    log(bucket, "a", [line("r1", NOW)])
    place = label(bucket, NOW, {"r1": 1}).rpartition("/")[0]
    put(bucket, f"{place}/{int(NOW * 1000)}-{'1' * 12}.jsonl.gz", gzip.compress(b'{"id":1}'))
    put(bucket, f"{place}/somebody.jsonl.gz", gzip.compress(b""))
    watching = Watching(bucket).look()
    assert watching.broken == 2
    assert watching.joined() == [(0.5, 1)]


def test_other_versions_are_read_too_with_their_own_features(bucket: MemoryStore) -> None:
    log(bucket, "a", [line("r1", NOW, 0.25)])
    log(bucket, "a", [line("r2", NOW, 0.75, version=6, another=1)])
    label(bucket, NOW, {"r2": 1})
    watching = Watching(bucket).look()
    assert watching.broken == 0
    assert watching.joined(6) == [(0.75, 1)]
    assert watching.joined(7) == [(0.25, -1)]


def test_outcomes_nobody_asks_for_are_forgotten_after_two_days(bucket: MemoryStore) -> None:
    log(bucket, "a", [line("sampled", NOW)])
    label(bucket, NOW, {"sampled": 1, "unsampled": 1})
    watching = Watching(bucket).look()
    assert watching.memory.size == (1, 2)
    assert watching.look(NOW + 2 * DAY + 1).memory.size == (1, 1)


def test_the_first_outcome_stands_whatever_is_read_first(bucket: MemoryStore) -> None:
    log(bucket, "a", [line("r1", NOW - DAY)])
    label(bucket, NOW, {"r1": 1})
    watching = Watching(bucket).look()
    label(bucket, NOW - 60, {"r1": 0})
    assert watching.look(NOW + 60).joined() == [(0.5, 0)]


def test_what_is_taken_is_in_the_bucket_and_known(bucket: MemoryStore) -> None:
    log(bucket, "a", [line("r1", NOW - DAY)])
    watching = Watching(bucket).look()
    found = outcomes.check([{"id": "r1", "outcome": 1}], NOW)
    assert watching.memory.take(found, NOW) == 1
    assert watching.joined() == [(0.5, 1)]
    assert watching.memory.take(found, NOW + 1) == 0
    assert Watching(bucket).look().joined() == [(0.5, 1)]
    otherwise = outcomes.check([{"id": "r1", "outcome": 0}, {"id": "r2", "outcome": 0}], NOW)
    with pytest.raises(outcomes.Contradiction) as caught:
        watching.memory.take(otherwise, NOW + 2)
    assert caught.value.problems[0].index == 0
    listed = obstore.list(bucket, "labels").collect()
    assert len(listed) == 1, "of a list that contradicts, nothing is written"


def test_what_the_bucket_did_not_take_is_not_known(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watching(bucket).look()
    found = outcomes.check([{"id": "r1", "outcome": 1}], NOW)
    with monkeypatch.context() as down:
        down.setattr(obstore, "put", _down)
        with pytest.raises(obstore.exceptions.BaseError):
            watching.memory.take(found, NOW)
    assert watching.memory.size == (0, 0)
    assert watching.memory.take(found, NOW) == 1


events = st.lists(
    st.tuples(
        st.sampled_from(["log", "label", "look"]),
        st.sampled_from(["r1", "r2", "r3", "r4"]),
        st.integers(0, 1),
        st.floats(0, 1.5 * HOUR),
    ),
    max_size=25,
)


@settings(max_examples=50)
@given(events, st.integers(1, 4))
def test_a_restart_changes_nothing(happened: list[Any], merged: int) -> None:
    bucket = MemoryStore()
    watching = Watching(bucket)
    now = NOW
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.watch.memory._MERGED", merged)
        for number, (event, name, value, late) in enumerate(happened):
            now += 600
            if event == "log":
                log(bucket, str(number), [line(name, now - late, value / 2, row=value)])
            elif event == "label":
                label(bucket, now, {name: value})
            else:
                watching.look(now)
        watching.look(now)
        again = Watching(bucket).look(now)
    assert again.state == watching.state
    since = watching.windows._oldest(now)
    one, other = (
        {number: sorted(rows) for number, rows in each.windows._rows.items() if number >= since}
        for each in (again, watching)
    )
    assert one == other


def test_more_than_the_most_is_not_kept(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "MOST", 50)
    order = list(range(200))
    random.Random(1).shuffle(order)  # noqa: S311
    for number in order:
        log(bucket, str(number), [line(f"r{number}", NOW - number)])
    watching = Watching(bucket).look()
    assert watching.memory.size == (50, 0)
    assert watching.memory._predictions["time"].min() == NOW - 49
