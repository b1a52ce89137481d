"""A training row has the features of its own time, whatever came later."""

from collections.abc import Sequence

import pandas as pd
import pytest
from conftest import MODEL
from hypothesis import example, given, settings
from hypothesis import strategies as st
from online_harness import DATASET, DAY, NAMES, history, snapshot_of, with_lifetime

from app import console, features, snapshots


def asked(table: pd.DataFrame, days: Sequence[int]) -> pd.DataFrame:
    found = pd.concat([table.head(1)] * len(days), ignore_index=True)
    found[DATASET.time] = [f"2016-01-{day:02d}" for day in days]
    return found.drop(columns=NAMES)


def test_the_training_frame_is_the_snapshot(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    frame = features.training_frame(MODEL, snapshots.read(bucket, snapshot_of(bucket, loans)))
    pd.testing.assert_frame_equal(frame, loans)


@settings(max_examples=6)
@example(known={3, 20}, wanted={2, 10, 20}, lifetime=None)
@example(known={1}, wanted={1, 11, 12}, lifetime=10)
@given(
    known=st.sets(st.integers(1, 31), min_size=1, max_size=6),
    wanted=st.sets(st.integers(1, 31), min_size=1, max_size=6),
    lifetime=st.none() | st.integers(1, 15),
)
def test_a_row_sees_the_newest_features_of_its_past_and_never_its_future(
    loans: pd.DataFrame, known: set[int], wanted: set[int], lifetime: int | None
) -> None:
    table = history(loans, sorted(known, reverse=True))
    model = MODEL if lifetime is None else with_lifetime(lifetime)
    found = features.as_of(model, table, asked(table, sorted(wanted)))
    expected = {
        f"2016-01-{day:02d}": 1000 + max(past)
        for day in wanted
        if (past := [at for at in known if day - (lifetime or 31) <= at <= day])
    }
    assert dict(zip(found[DATASET.time], found["funded_amnt"], strict=True)) == expected


def test_a_loan_that_changed_later_is_trained_on_as_it_was(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    later = loans.head(50).assign(arrived=DAY.isoformat(), int_rate=99.0)
    table = pd.concat([loans, later], ignore_index=True)
    table = table.sort_values([DATASET.key, DATASET.time], ignore_index=True)
    frame = features.training_frame(MODEL, snapshots.read(bucket, snapshot_of(bucket, table)))
    pd.testing.assert_frame_equal(frame, table)


def test_two_rows_of_one_loan_on_one_day_are_refused(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    twice = pd.concat([loans, loans.head(1)], ignore_index=True)
    with pytest.raises(console.Refused, match=r"401 rows of .* give 400 training rows"):
        features.training_frame(MODEL, snapshots.read(bucket, snapshot_of(bucket, twice)))
