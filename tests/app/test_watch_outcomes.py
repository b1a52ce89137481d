"""Outcomes are checked field by field, written once, and nothing else about anybody is kept."""

import contextlib
import gzip
import json
from typing import Any

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore
from watch_harness import NAME, NOW, day

from app.watch import join, lines, outcomes
from app.watch.outcomes import Contradiction, Invalid

GOOD: dict[str, Any] = {"id": "r1", "outcome": 1}


def _without(name: str) -> dict[str, Any]:
    return {field: value for field, value in GOOD.items() if field != name}


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (_without("id"), "id"),
        (_without("outcome"), "outcome"),
        ({**GOOD, "id": "Ada Lovelace"}, "id"),
        ({**GOOD, "id": "r1\n"}, "id"),
        ({**GOOD, "id": ""}, "id"),
        ({**GOOD, "id": "r" * 65}, "id"),
        ({**GOOD, "id": 1}, "id"),
        ({**GOOD, "outcome": 2}, "outcome"),
        ({**GOOD, "outcome": -1}, "outcome"),
        ({**GOOD, "outcome": True}, "outcome"),
        ({**GOOD, "outcome": "1"}, "outcome"),
        ({**GOOD, "outcome": None}, "outcome"),
        ({**GOOD, "row": -1}, "row"),
        ({**GOOD, "row": 5000}, "row"),
        ({**GOOD, "row": 0.5}, "row"),
        ({**GOOD, "time": "today"}, "time"),
        ({**GOOD, "time": -1}, "time"),
        ({**GOOD, "time": NOW + 301}, "time"),
        ({**GOOD, "name": "Ada"}, "name"),
        (["r1", 1], "outcome"),
        (None, "outcome"),
    ],
    ids=repr,
)
def test_a_fault_is_told_by_index_and_field(item: Any, field: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid) as caught:
        outcomes.check([GOOD, item, {**GOOD, "id": "r2"}], NOW)
    (problem,) = caught.value.problems
    assert (problem.index, problem.field) == (1, field)
    assert problem.expected


@pytest.mark.parametrize(
    "item",
    [
        GOOD,
        {**GOOD, "outcome": 0},
        {**GOOD, "row": 4999},
        {**GOOD, "time": NOW + 299},
        {**GOOD, "time": 0},
        {**GOOD, "id": "a.B-9_" + "x" * 58},
    ],
    ids=repr,
)
def test_what_is_right_is_taken_with_a_time(item: dict[str, Any]) -> None:
    (found,) = outcomes.check([item], NOW)
    assert (found.id, found.outcome) == (item["id"], item["outcome"])
    assert found.row == item.get("row", 0)
    assert found.time == item.get("time", NOW)


def test_of_many_faults_twenty_are_told() -> None:
    with pytest.raises(Invalid) as caught:
        outcomes.check([{}] * 30, NOW)
    assert [problem.index for problem in caught.value.problems] == list(range(20))


def test_one_list_may_not_contradict_itself() -> None:
    with pytest.raises(Invalid) as caught:
        outcomes.check([GOOD, {**GOOD, "row": 1, "outcome": 0}, {**GOOD, "outcome": 0}], NOW)
    assert [(each.index, each.field) for each in caught.value.problems] == [(2, "outcome")]


def _known(*items: tuple[str, int, int]) -> join.Rows:
    places = [(name, row) for name, row, _ in items]
    return join.merged(
        join.rows(join.OUTCOME, places, arrived=1, outcome=[each[2] for each in items])
    )


def test_what_is_known_is_no_news_and_what_contradicts_it_is_refused() -> None:
    known = _known(("r1", 0, 1), ("r1", 1, 0))
    given = [GOOD, {**GOOD, "row": 1, "outcome": 0}, {**GOOD, "row": 2}, {**GOOD, "row": 2}]
    found = outcomes.unknown(outcomes.check(given, NOW), known)
    assert [(each.id, each.row) for each in found] == [("r1", 2)]
    with pytest.raises(Contradiction) as caught:
        outcomes.unknown(
            outcomes.check([*given, {**GOOD, "id": "r1", "outcome": 0}][4:], NOW), known
        )
    (problem,) = caught.value.problems
    assert (problem.index, problem.field) == (0, "outcome")
    assert problem.expected.startswith("1")


def test_the_object_says_when_it_came_and_holds_the_contracts_lines() -> None:
    bucket = MemoryStore()
    rows = outcomes.write(bucket, NAME, outcomes.check([GOOD, {**GOOD, "row": 1}], NOW), NOW)
    ((item,),) = obstore.list(bucket)
    prefix, name, of_day, file = item["path"].split("/")
    assert (prefix, name, of_day) == ("labels", NAME, day(NOW))
    assert file.startswith(f"{int(NOW * 1000)}-")
    content = bytes(obstore.get(bucket, item["path"]).bytes())
    assert [json.loads(line) for line in gzip.decompress(content).splitlines()] == [
        {"id": "r1", "row": 0, "outcome": 1, "time": NOW},
        {"id": "r1", "row": 1, "outcome": 1, "time": NOW},
    ]
    assert outcomes.read(item["path"], content).tobytes() == rows.tobytes()


items = st.fixed_dictionaries(
    {"id": st.from_regex(r"\A[A-Za-z0-9._-]{1,64}\Z"), "outcome": st.integers(0, 1)},
    optional={"row": st.integers(0, 4999), "time": st.floats(0, NOW)},
)


@given(st.lists(items, max_size=20, unique_by=lambda item: (item["id"], item.get("row", 0))))
def test_what_is_written_is_read(given: list[dict[str, Any]]) -> None:
    bucket = MemoryStore()
    rows = outcomes.write(bucket, NAME, outcomes.check(given, NOW), NOW)
    ((item,),) = obstore.list(bucket)
    content = bytes(obstore.get(bucket, item["path"]).bytes())
    assert outcomes.read(item["path"], content).tobytes() == rows.tobytes()
    assert outcomes.unknown(outcomes.check(given, NOW), join.merged(rows)) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(anything | st.dictionaries(st.sampled_from([*GOOD, "row", "time"]), anything)))
def test_anything_else_is_refused_and_never_fails(given: list[Any]) -> None:
    with contextlib.suppress(Invalid):
        assert len(outcomes.check(given, NOW)) == len(given)


@given(st.binary(max_size=200))
def test_any_bytes_are_broken_or_lines(content: bytes) -> None:
    key = f"labels/{NAME}/2030-03-17/{int(NOW * 1000)}-{'0' * 12}.jsonl.gz"
    for bytes_ in (content, gzip.compress(content)):
        with contextlib.suppress(lines.Broken):
            outcomes.read(key, bytes_)
