"""Great Expectations' pages are in the bucket, tell nobody, and hold no personal data."""

import json
import socket

import pandas as pd
import pytest
from validate_harness import DATASET, DAY, PERSONAL, run

from app import snapshots, suites

pytestmark = pytest.mark.slow


def test_the_data_docs_and_the_result_are_in_the_bucket(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    said = json.loads(run().stdout)
    page = bucket.get(said["report"])
    assert page is not None
    assert b"<html" in page
    place = said["report"].removesuffix("index.html")
    pages = {key: bucket.get(key) or b"" for key in bucket.keys(place)}
    assert any(b"sub_grade" in pages[key] for key in pages if "/validations/" in key)
    result = json.loads(pages[f"{place}result.json"])
    assert result["statistics"]["evaluated_expectations"] == said["checks"]


def test_neither_the_data_docs_nor_their_making_tell_anybody(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    snapshots.write(bucket, DATASET, loans, DAY)
    place = json.loads(run().stdout)["report"].removesuffix("index.html")
    for key in bucket.keys(place):
        assert b"great-expectations-web-assets" not in (bucket.get(key) or b"")


def test_reasons_and_data_docs_name_rows_and_counts_but_no_personal_data(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    loans = loans.copy()
    loans["all_util"] = loans["all_util"].map(str)
    loans.loc[4, ["term", "arrived", "Class", "all_util"]] = PERSONAL
    loans.loc[[6, 7], "annual_inc"] = -5.0
    loans.loc[9, "loan_id"] = loans.loc[8, "loan_id"] = 987_654_321
    snapshots.write(bucket, DATASET, loans, DAY)
    said = json.loads(run().stdout)
    found = {failure["column"]: failure for failure in said["failures"]}
    assert found["term"]["unexpected"] == 1
    assert found["term"]["examples"] == [{"row": 4, "value": "text of 23 characters"}]
    assert [example["row"] for example in found["annual_inc"]["examples"]] == [6, 7]
    assert found["annual_inc"]["examples"][0]["value"] == -5.0
    for prefix in ("quarantine/", "reports/", "validations/"):
        for key in bucket.keys(prefix):
            if not key.endswith(".parquet"):
                assert PERSONAL.encode() not in (bucket.get(key) or b"")
                assert b"987654321" not in (bucket.get(key) or b"")


def test_data_docs_are_not_written_beside_the_suites(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    before = sorted(suites.FOLDER.rglob("*"))
    snapshots.write(bucket, DATASET, loans, DAY)
    run()
    assert sorted(suites.FOLDER.rglob("*")) == before
