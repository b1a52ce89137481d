"""The report shows the measure's own figures, to machines and to people, and asks for nothing."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import SCHEMA

from app.reference import Reference
from app.watch import drift, report

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def before(loans: pd.DataFrame) -> pd.DataFrame:
    return loans.assign(score=np.linspace(0, 1, len(loans)))


@pytest.fixture(scope="module")
def window(before: pd.DataFrame) -> pd.DataFrame:
    return before.assign(
        int_rate=before["int_rate"] + 6,
        delinq_amnt=None,
        verification_status=[HOSTILE, *before["verification_status"][1:]],
    )


@pytest.fixture(scope="module")
def found(before: pd.DataFrame, window: pd.DataFrame) -> drift.Drift:
    return drift.measure(Reference.of(SCHEMA, before, before["score"]), window)


@pytest.fixture(scope="module")
def page(before: pd.DataFrame, window: pd.DataFrame, found: drift.Drift) -> str:
    return report.html(SCHEMA, before, window, found)


def test_the_summary_says_what_was_measured(found: drift.Drift) -> None:
    told = json.loads(report.summary("credit-default", 7, found))
    assert (told["model"], told["version"], told["rows"]) == ("credit-default", 7, 400)
    assert told["verdict"] == "drifted"
    assert told["drifted"] == ["int_rate", "delinq_amnt"]
    assert list(told["columns"]) == [*SCHEMA.names, "score"]
    assert told["columns"]["int_rate"] == {
        "psi": found.features["int_rate"].psi,
        "threshold": found.features["int_rate"].threshold,
        "ks": found.features["int_rate"].ks,
        "js": found.features["int_rate"].js,
        "drifted": True,
    }


def test_a_short_window_has_a_summary_and_no_page(before: pd.DataFrame) -> None:
    short = drift.measure(Reference.of(SCHEMA, before, before["score"]), before.head(5))
    told = json.loads(report.summary("credit-default", 7, short))
    assert (told["verdict"], told["rows"], told["columns"]) == ("short", 5, {})
    with pytest.raises(ValueError, match="a window of 5 rows"):
        report.html(SCHEMA, before, before.head(5), short)


def test_of_each_side_some_rows_are_drawn_the_same_each_time(before: pd.DataFrame) -> None:
    many = pd.concat([before] * 10)
    drawn = report._drawn(many, {})
    assert len(drawn) == 2000
    assert drawn.equals(report._drawn(many, {}))
    assert len(report._drawn(before, {})) == 400


@pytest.mark.slow
def test_the_page_has_the_measures_figures(page: str, found: drift.Drift) -> None:
    for name in ("int_rate", "score", "term"):
        shift = {**found.features, "score": found.score}[name]
        assert shift is not None
        assert f'"drift_score": {round(shift.psi, 6)}' in page
        assert f"PSI above {shift.threshold:.3f}" in page
    assert page.count('"data_drift": "Detected"') == 1  # the other that drifted has no value


@pytest.mark.slow
def test_the_page_may_ask_nobody_for_anything(page: str) -> None:
    assert page.index("Content-Security-Policy") < page.index("<script")
    assert "default-src 'none'" in page
    assert re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="?(?:https?:)?//', page) == []
    assert len(page) < 7_000_000


@pytest.mark.slow
def test_no_word_of_a_client_gets_into_the_page(page: str) -> None:
    assert "alert(1)" not in page
    assert "none of the schema" in page
