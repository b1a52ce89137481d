"""A window like its reference is steady, one that is not is called drifted, with what drifted."""

from collections.abc import Callable
from random import Random

import numpy as np
import pandas as pd
import pytest
from conftest import SCHEMA
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from app.reference import Counts, Reference
from app.watch import drift

BINS = st.lists(st.integers(0, 5000), min_size=3, max_size=12)
PAIRS = st.integers(2, 12).flatmap(
    lambda bins: st.tuples(
        *[st.lists(st.integers(0, 5000), min_size=bins, max_size=bins).filter(any)] * 2
    )
)
Pair = tuple[list[int], list[int]]


@pytest.fixture(scope="module")
def reference(loans: pd.DataFrame) -> Reference:
    return Reference.of(SCHEMA, loans, np.linspace(0, 1, len(loans)))


@pytest.fixture(scope="module")
def window(loans: pd.DataFrame) -> pd.DataFrame:
    return loans.assign(score=np.linspace(0, 1, len(loans)))


def compare(expected: list[int], found: list[int], ordered: bool = True) -> drift.Shift:
    (shift,) = drift.compare([np.array(expected)], [np.array(found)], [ordered])
    return shift


def test_the_rows_of_the_reference_themselves_are_steady(
    reference: Reference, window: pd.DataFrame
) -> None:
    found = drift.measure(reference, window)
    assert (found.verdict, found.detected, found.drifted) == ("steady", False, ())
    assert found.rows == len(window)
    assert list(found.features) == list(SCHEMA.names)
    assert found.score is not None
    for shift in (*found.features.values(), found.score):
        assert (shift.psi, shift.js) == (0, 0)
        assert shift.ks in (0, None)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("int_rate", lambda values: values + 6),
        ("annual_inc", lambda values: [None] * 200 + list(values[200:])),
        ("term", lambda values: ["term_60"] * len(values)),
        ("emp_length", lambda values: values.replace("emp_ge_10", "emp_1")),
        ("verification_status", lambda values: ["Unheard_Of"] * len(values)),
        ("delinq_amnt", lambda values: values + 1),
        ("score", lambda values: values / 3),
    ],
)
def test_what_drifted_is_named_and_nothing_else(
    reference: Reference,
    window: pd.DataFrame,
    column: str,
    change: Callable[[pd.Series], object],
) -> None:
    found = drift.measure(reference, window.assign(**{column: change(window[column])}))
    assert found.verdict == "drifted"
    assert found.detected
    assert found.drifted == (column,)


def test_lists_are_as_good_as_a_data_frame(reference: Reference, window: pd.DataFrame) -> None:
    rows = window.sample(150, random_state=1)
    lists = {name: rows[name].tolist() for name in rows}
    assert drift.measure(reference, lists) == drift.measure(reference, rows)


def test_the_order_of_the_rows_does_not_matter(reference: Reference, window: pd.DataFrame) -> None:
    rows = window.sample(150, random_state=1)
    again = rows.sample(frac=1, random_state=2)
    assert drift.measure(reference, again) == drift.measure(reference, rows)


def test_a_window_of_a_hundred_rows_is_judged_and_none_shorter(
    reference: Reference, window: pd.DataFrame
) -> None:
    moved = window.assign(int_rate=99.0)
    assert drift.measure(reference, moved.head(100)).verdict == "drifted"
    short = drift.measure(reference, moved.head(99))
    assert (short.verdict, short.detected, short.drifted) == ("short", False, ())
    assert (short.rows, short.features, short.score) == (99, {}, None)
    assert drift.measure(reference, moved.head(0)).verdict == "short"


def test_a_column_that_lacks_is_named(reference: Reference, window: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match="int_rate"):
        drift.measure(reference, window.drop(columns="int_rate"))
    with pytest.raises(KeyError, match="score"):
        drift.measure(reference, window.drop(columns="score"))


def test_columns_of_different_length_are_refused(
    reference: Reference, window: pd.DataFrame
) -> None:
    columns = {name: window[name].tolist() for name in window}
    with pytest.raises(ValueError, match=r"different lengths: \[399, 400\]"):
        drift.measure(reference, {**columns, "int_rate": columns["int_rate"][1:]})


def test_the_index_is_what_its_definition_says() -> None:
    # By hand: both sides get a row a bin of the smaller side, which is a hundredth each.
    p, q = np.array([0.7, 0.3, 0.0]), np.array([0.5, 0.4, 0.1])
    p, q = (p + 0.01) / 1.03, (q + 0.01) / 1.03
    found = compare([1000, 800, 200], [70, 30, 0])
    assert found.psi == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert found.ks == pytest.approx(0.7 - 5 / 9)  # of the known rows: the last bin is missing ones
    assert compare([1000, 800, 200], [70, 30, 0], ordered=False).ks is None


def test_nothing_in_common_is_a_distance_of_one() -> None:
    found = compare([500, 0, 0], [0, 500, 0])
    assert found.js == pytest.approx(1)
    assert found.ks == pytest.approx(1)
    assert 5 < found.psi < 20


@given(PAIRS)
def test_index_and_distances_are_the_same_both_ways(pair: Pair) -> None:
    one, other = compare(*pair), compare(pair[1], pair[0])
    assert one.psi == pytest.approx(other.psi)
    assert one.js == pytest.approx(other.js)
    assert one.ks == pytest.approx(other.ks)
    assert one.psi >= -1e-12
    assert 0 <= one.js <= 1
    assert one.threshold == pytest.approx(other.threshold)


@given(PAIRS, st.randoms(use_true_random=False))
def test_index_and_distance_know_no_order_of_bins(pair: Pair, random: Random) -> None:
    order = random.sample(range(len(pair[0])), len(pair[0]))
    expected, found = ([side[place] for place in order] for side in pair)
    assert compare(expected, found).psi == pytest.approx(compare(*pair).psi)
    assert compare(expected, found).js == pytest.approx(compare(*pair).js)


@given(BINS.filter(any), st.integers(1, 50))
def test_equal_shares_never_drift_whatever_the_sizes(counts: list[int], times: int) -> None:
    found = compare(counts, [count * times for count in counts])
    assert found.psi == pytest.approx(0, abs=1e-9)
    assert not found.drifted


@given(PAIRS)
def test_smoothing_only_brings_together(pair: Pair) -> None:
    expected, found = (np.array(side, float) + 0.5 for side in pair)  # none empty: PSI is finite
    p, q = found / found.sum(), expected / expected.sum()
    plain = ((p - q) * np.log(p / q)).sum()
    (smooth,) = drift.stability_index(
        p[None], q[None], found.sum(keepdims=True), expected.sum(keepdims=True), np.array([len(p)])
    )
    assert smooth <= plain + 1e-9


@given(PAIRS.filter(lambda pair: len(pair[0]) > 2), st.data())
def test_joining_two_bins_raises_neither_distance_nor_threshold(
    pair: Pair, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(pair[0]) - 2))
    expected, found = (
        [*side[:place], side[place] + side[place + 1], *side[place + 2 :]] for side in pair
    )
    assert compare(expected, found).js <= compare(*pair).js + 1e-9
    assert compare(expected, found).threshold <= compare(*pair).threshold


@given(st.integers(100, 10**6), st.integers(20, 10**6), st.integers(2, 13), st.integers(1, 200))
def test_more_rows_or_fewer_columns_or_bins_never_raise_the_threshold(
    window: int, reference: int, bins: int, columns: int
) -> None:
    found = drift.threshold(window, reference, bins, columns)
    assert drift.threshold(window + 1, reference, bins, columns) <= found
    assert drift.threshold(window, reference + 1, bins, columns) <= found
    assert drift.threshold(window, reference, bins + 1, columns) >= found
    assert drift.threshold(window, reference, bins, columns + 1) >= found
    assert found >= drift.FLOOR


def test_the_threshold_is_chi_squares_shared_among_the_columns() -> None:
    found = drift.threshold(200, 7400, 11, 22)
    assert found == pytest.approx(chi2.isf(1 / 2000 / 22, 10) * (1 / 200 + 1 / 7400))
    assert found == pytest.approx(0.2017, abs=1e-4)
    assert drift.threshold(10_000, 7400, 11, 22) == drift.FLOOR == 0.05


def test_every_column_has_the_threshold_of_its_own_bins_and_rows(loans: pd.DataFrame) -> None:
    reference = Reference.of(SCHEMA, loans, np.linspace(0, 1, 98))
    found = drift.measure(reference, loans.assign(score=0.5).head(150))
    assert found.score is not None
    assert found.score.threshold == drift.threshold(150, 98, 11, 22)
    assert found.features["term"].threshold == drift.threshold(150, 400, 3, 22)


def test_a_drift_below_the_floor_is_none_however_many_rows_prove_it() -> None:
    def window(share: float) -> list[int]:
        return [round(share * 10**6), round((1 - share) * 10**6), 0]

    half = [10**6, 10**6, 0]
    assert not compare(half, window(0.6)).drifted  # PSI 0.04
    assert compare(half, window(0.62)).drifted  # PSI 0.06


def false_alarms(windows: int, rows: int, draw: np.random.Generator) -> int:
    """Of 22 columns whose bins are those that hurt: even ones, pairs, rare ones, empty ones."""
    rare = 8 / rows
    spreads = (
        [[0.1] * 10] * 14 + [[1 - rare, rare]] * 4 + [[0.5, 0.5 - rare, rare]] * 2 + [[1.0]] * 2
    )
    alarms = 0
    for _ in range(windows):
        expected, found = ([_with_none_missing(draw, size, spread) for spread in spreads]
                           for size in (7400, rows))  # fmt: skip
        alarms += any(shift.drifted for shift in drift.compare(expected, found, [True] * 22))
    return alarms


def _with_none_missing(draw: np.random.Generator, rows: int, spread: list[float]) -> Counts:
    return np.append(draw.multinomial(rows, spread), 0)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 200, 1000])
def test_false_alarms_are_rare_among_windows_that_did_not_drift(rows: int) -> None:
    """Expected are 2 in 4,000; 12 and more would be no accident (1 in 100,000), as at 1.5 times."""
    assert false_alarms(4000, rows, np.random.default_rng(rows)) < 12


def test_the_first_false_alarms_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "FALSE_ALARMS", 0.5)
    assert 5 < false_alarms(50, 200, np.random.default_rng(1)) < 35


@pytest.mark.parametrize("rows", [350, 1000])
def test_a_drift_of_0_2_in_one_of_22_columns_is_seen(rows: int) -> None:
    """95 % of them: of 400 at least 370, which one in 100 good measures would miss."""
    draw = np.random.default_rng(rows)
    even = np.full(10, 0.1)
    tilted = np.exp(0.1594 * np.arange(10))
    tilted /= tilted.sum()
    assert ((tilted - even) * np.log(tilted / even)).sum() == pytest.approx(0.2, abs=0.005)
    seen = 0
    for _ in range(400):
        counts = [draw.multinomial(size, shares) for size, shares in ((7400, even), (rows, tilted))]
        expected, found = (np.append(side, 0) for side in counts)
        (shift,) = drift.compare([expected], [found], [True])
        seen += shift.psi > drift.threshold(rows, 7400, 11, 22)
    assert seen >= 370
