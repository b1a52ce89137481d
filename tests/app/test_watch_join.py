"""Predictions and outcomes find each other whatever order they come in, and figures follow them."""

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.definition import Costs
from app.watch import accuracy, join
from app.watch.join import UNKNOWN, Joined

COSTS = Costs(false_positive=2, false_negative=7, unit="USD")

places = st.tuples(st.sampled_from("abcd"), st.integers(0, 2))
scores = st.floats(0, 1, width=32)
predicted = st.lists(st.tuples(places, st.integers(0, 100), scores), max_size=20)
reported = st.lists(st.tuples(places, st.integers(0, 100), st.integers(0, 1)), max_size=20)


def predictions(lines: list[tuple[Any, float, float]], version: int = 7) -> join.Rows:
    return join.rows(
        join.PREDICTION,
        [place for place, _, _ in lines],
        time=[time for _, time, _ in lines],
        score=[score for _, _, score in lines],
        version=version,
    )


def outcomes(lines: list[tuple[Any, int, int]]) -> join.Rows:
    return join.rows(
        join.OUTCOME,
        [place for place, _, _ in lines],
        arrived=[arrived for _, arrived, _ in lines],
        outcome=[outcome for _, _, outcome in lines],
    )


def joined(made: join.Rows, known: join.Rows, until: float = 50) -> Joined | None:
    return join.join(join.merged(made), join.merged(known), since=10, until=until).get(7)


@given(predicted, reported)
def test_the_join_is_what_two_dictionaries_say(made: list[Any], known: list[Any]) -> None:
    first: dict[Any, Any] = {}
    for place, time, score in sorted(made, key=lambda line: line[1:]):
        first.setdefault(place, (time, score))
    told: dict[Any, int] = {}
    for place, _, outcome in sorted(known, key=lambda line: line[1:]):
        told.setdefault(place, outcome)
    expected = sorted(
        (score, told.get(place, UNKNOWN))
        for place, (time, score) in first.items()
        if 10 < time <= 50
    )
    found = joined(predictions(made), outcomes(known))
    pairs = (
        [] if found is None else zip(found.scores.tolist(), found.outcomes.tolist(), strict=True)
    )
    assert sorted(pairs) == expected


@given(predicted, reported, st.randoms(), st.integers(0, 20))
def test_order_parts_and_repetition_make_no_difference(
    made: list[Any], known: list[Any], chance: random.Random, cut: int
) -> None:
    whole = join.merged(predictions(made)), join.merged(outcomes(known))
    chance.shuffle(made)
    chance.shuffle(known)
    parts = (
        join.merged(join.merged(predictions(made[cut:])), predictions(made)),
        join.merged(join.merged(outcomes(known[:cut])), outcomes(known)),
    )
    for one, other in zip(whole, parts, strict=True):
        assert one.tobytes() == other.tobytes()


@given(reported, reported)
def test_what_is_added_is_as_if_it_had_been_there(known: list[Any], more: list[Any]) -> None:
    found = join.added(join.merged(outcomes(known)), outcomes(more))
    assert found.tobytes() == join.merged(outcomes(known), outcomes(more)).tobytes()


def test_a_prediction_that_is_too_young_waits_although_its_outcome_is_known() -> None:
    made = predictions([(("a", 0), 49, 0.9), (("b", 0), 51, 0.9), (("c", 0), 10, 0.9)])
    known = outcomes([(("a", 0), 1, 1), (("b", 0), 1, 1), (("c", 0), 1, 1)])
    found = joined(made, known)
    assert found is not None
    assert found.outcomes.tolist() == [1]
    assert joined(made, known, until=51).outcomes.tolist() == [1, 1]  # ty: ignore


def test_rows_of_a_request_are_told_apart() -> None:
    made = predictions([(("a", row), 20, 0.25 * row) for row in range(3)])
    known = outcomes([(("a", 0), 1, 0), (("a", 2), 1, 1)])
    found = joined(made, known)
    assert found is not None
    pairs = zip(found.scores.tolist(), found.outcomes.tolist(), strict=True)
    assert sorted(pairs) == [(0, 0), (0.25, UNKNOWN), (0.5, 1)]


def test_versions_are_told_apart() -> None:
    made = join.merged(predictions([(("a", 0), 20, 0.5)], 7), predictions([(("b", 0), 20, 1)], 8))
    found = join.join(made, join.merged(outcomes([(("b", 0), 1, 1)])), since=0, until=50)
    assert {version: rows.outcomes.tolist() for version, rows in found.items()} == {
        7: [UNKNOWN],
        8: [1],
    }


def test_the_newest_are_kept_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "MOST", 2)
    made = join.merged(predictions([((name, 0), time, 0) for time, name in enumerate("abcd")]))
    kept = join.newest(made, "time", -1)
    assert sorted(kept["time"].tolist()) == [2, 3]
    assert (np.diff(kept["key"].astype(object)) > 0).all(), "they are still sorted by key"
    assert join.newest(made, "time", 2)["time"].tolist() == [3]


@given(
    st.lists(st.tuples(scores, st.sampled_from([UNKNOWN, 0, 1])), max_size=60),
    st.floats(0.01, 0.99),
)
def test_the_figures_are_those_of_a_naive_count(rows: list[Any], threshold: float) -> None:
    made = Joined(
        scores=np.array([score for score, _ in rows], np.float32),
        outcomes=np.array([outcome for _, outcome in rows], np.int8),
    )
    found = accuracy.measure(made, threshold, COSTS)
    known = [(score, outcome) for score, outcome in rows if outcome != UNKNOWN]
    assert found.matured == len(known)
    if not rows:
        assert math.isnan(found.missing_ratio)
    else:
        assert found.missing_ratio == (len(rows) - len(known)) / len(rows)
    if not known:
        for name in ("accuracy", "lower", "upper", "cost", "calibration_error"):
            assert math.isnan(getattr(found, name))
        return
    right, cost = 0, 0
    for score, outcome in known:
        called = int(score >= threshold)
        right += called == outcome
        cost += 2 if called > outcome else 7 if called < outcome else 0
    assert found.accuracy == right / len(known)
    assert found.cost == pytest.approx(cost / len(known))
    n, share, z = len(known), right / len(known), 1.959963984540054
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert (found.lower, found.upper) == pytest.approx((middle - half, middle + half), abs=1e-9)


@given(st.lists(st.tuples(scores, st.sampled_from([0, 1])), min_size=100, max_size=130))
def test_the_calibration_error_is_that_of_equally_full_bins(rows: list[Any]) -> None:
    made = Joined(
        scores=np.array([score for score, _ in rows], np.float32),
        outcomes=np.array([outcome for _, outcome in rows], np.int8),
    )
    ranked = sorted(rows, key=lambda row: row[0])
    size, more = divmod(len(ranked), 10)
    gap, start = 0.0, 0
    for place in range(10):
        end = start + size + (place < more)
        part = ranked[start:end]
        gap += abs(sum(score for score, _ in part) - sum(outcome for _, outcome in part))
        start = end
    found = accuracy.measure(made, 0.5, None)
    assert found.calibration_error == pytest.approx(gap / len(rows), abs=1e-6)
    assert math.isnan(found.cost), "without costs nothing is told of them"


def test_too_few_outcomes_tell_nothing_of_calibration() -> None:
    made = Joined(scores=np.full(99, 0.5, np.float32), outcomes=np.zeros(99, np.int8))
    assert math.isnan(accuracy.measure(made, 0.5, None).calibration_error)


def test_a_score_at_the_threshold_is_called_positive() -> None:
    made = Joined(scores=np.array([0.5], np.float32), outcomes=np.array([1], np.int8))
    assert accuracy.measure(made, 0.5, COSTS).accuracy == 1
