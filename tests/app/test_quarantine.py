"""A bad snapshot is kept aside with its reason, and one of another schema asks for retraining."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL
from validate_harness import DATASET, DAY, EARLIER, planted, run

from app import quarantine, snapshots

pytestmark = pytest.mark.usefixtures("without_pages")


def test_a_bad_snapshot_is_set_aside_and_the_one_before_stays_chosen(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    early = DATASET.until(loans, EARLIER)
    good, _ = snapshots.write(bucket, DATASET, early, EARLIER)
    assert run().exit_code == 0
    bad, _ = snapshots.write(bucket, DATASET, loans.assign(int_rate=0.1), DAY)
    answer = run()
    assert answer.exit_code == 3
    assert "int_rate: column quantile values" in answer.stderr
    assert snapshots.chosen(bucket, MODEL, None).sha256 == good["sha256"]
    said = json.loads(answer.stdout)
    reasons = json.loads(bucket.get(said["quarantine"]) or b"")
    assert "int_rate" in {failure["column"] for failure in reasons["failures"]}
    kept = bucket.get(said["quarantine"].replace(".json", ".parquet"))
    snapshot = snapshots.Snapshot.parse(bad)
    assert kept == bucket.get(snapshot.key, snapshot.version_id)


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        (lambda t: t.drop(columns="inq_fi"), "column inq_fi is missing"),
        (lambda t: t.assign(fico=700), "column fico is new"),
        (lambda t: t.assign(inq_fi=t.inq_fi.map(str)), "column inq_fi is text, was int64"),
        (lambda t: t.assign(inq_fi=t.inq_fi + 0.5), "column inq_fi is float64, was int64"),
        (lambda t: t.assign(term=36), "column term is int64, was text"),
    ],
    ids=["missing", "new", "text", "fractions", "codes"],
)
def test_a_changed_schema_asks_for_retraining(
    changed: Callable[[pd.DataFrame], pd.DataFrame],
    change: str,
    bucket: snapshots.Bucket,
    loans: pd.DataFrame,
) -> None:
    snapshots.write(bucket, DATASET, changed(loans), DAY)
    answer = run()
    assert answer.exit_code == 3
    assert change in answer.stderr
    signal = json.loads(bucket.get("signals/retrain/lending-club/2016-03-31.json") or b"")
    assert (signal["reason"], signal["changes"]) == ("schema change", [change])


def test_missing_values_are_no_changed_schema(loans: pd.DataFrame) -> None:
    gappy = loans.assign(inq_fi=loans.inq_fi.astype(float), term=loans.term)
    gappy.loc[3, "inq_fi"] = np.nan
    gappy.loc[3, "term"] = None
    for nothing in (np.nan, None):
        assert quarantine.changes(DATASET, gappy.assign(all_util=nothing, Class=nothing)) == []


def test_bad_values_ask_for_no_retraining(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    snapshots.write(bucket, DATASET, loans.assign(int_rate=0.1), DAY)
    assert run().exit_code == 3
    assert bucket.keys("signals/") == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n"], ids=["empty", "cut", "CSV"])
def test_a_file_that_is_no_parquet_is_set_aside(
    content: bytes, bucket: snapshots.Bucket, tmp_path: Path
) -> None:
    reference = planted(bucket, content, tmp_path)
    answer = run("--snapshot", str(reference))
    assert answer.exit_code == 3
    assert "a readable Parquet file" in answer.stderr
    said = json.loads(answer.stdout)
    assert bucket.get(said["quarantine"].replace(".json", ".parquet")) == content


def test_a_parquet_file_cut_short_is_set_aside(
    bucket: snapshots.Bucket, loans: pd.DataFrame, tmp_path: Path
) -> None:
    whole = io.BytesIO()
    loans.to_parquet(whole)
    reference = planted(bucket, whole.getvalue()[:-100], tmp_path)
    assert run("--snapshot", str(reference)).exit_code == 3


def test_a_snapshot_with_fewer_rows_than_the_one_before_is_set_aside(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    snapshots.write(bucket, DATASET, DATASET.until(loans, EARLIER), EARLIER)
    assert run().exit_code == 0
    snapshots.write(bucket, DATASET, loans.tail(150), DAY)
    answer = run()
    assert answer.exit_code == 3
    assert "table row count" in answer.stderr


def test_rows_of_a_snapshot_that_failed_are_not_asked_of_the_next(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    double = pd.concat([loans, loans], ignore_index=True)
    snapshots.write(bucket, DATASET, double, EARLIER)
    assert run().exit_code == 3
    snapshots.write(bucket, DATASET, loans, DAY)
    assert run().exit_code == 0
