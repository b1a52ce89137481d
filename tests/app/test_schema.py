"""The feature declaration converts what it allows, and names what it does not."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA
from hypothesis import given
from hypothesis import strategies as st

from app import console, definition, schema


def _value(feature: schema.Feature) -> st.SearchStrategy[Any]:
    if isinstance(feature, schema.Category):
        return st.sampled_from(feature.values)
    integers = st.integers(int(feature.low), int(feature.high))
    floats = st.floats(feature.low, feature.high)
    return integers | integers.map(float) if feature.integer else floats | integers


LOANS = st.fixed_dictionaries({feature.name: _value(feature) for feature in SCHEMA.features})
ANYTHING = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.none())


@given(LOANS)
def test_every_allowed_loan_becomes_finite_float32(loan: dict[str, Any]) -> None:
    matrix = SCHEMA.from_rows([loan])
    assert matrix.dtype == np.float32
    assert matrix.shape == (1, len(SCHEMA.features))
    assert np.isfinite(matrix).all()


@given(st.lists(LOANS, min_size=1, max_size=5))
def test_columns_and_rows_give_the_same_input(loans: list[dict[str, Any]]) -> None:
    columns = {name: [loan[name] for loan in loans] for name in reversed(SCHEMA.names)}
    np.testing.assert_array_equal(SCHEMA.from_columns(columns), SCHEMA.from_rows(loans))


@given(LOANS, st.sampled_from(SCHEMA.features), ANYTHING)
def test_any_value_is_converted_or_named(
    loan: dict[str, Any], feature: schema.Feature, value: object
) -> None:
    changed = {**loan, feature.name: value}
    if feature.code(value) is not None:
        assert np.isfinite(SCHEMA.from_rows([changed])).all()
        return
    with pytest.raises(schema.InvalidRows) as caught:
        SCHEMA.from_rows([changed])
    (problem,) = caught.value.problems
    assert (problem.field, problem.row) == (feature.name, 0)
    assert problem.expected == feature.expected


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("annual_inc", None, "missing"),
        ("annual_inc", "many", "type"),
        ("annual_inc", True, "type"),
        ("annual_inc", math.nan, "range"),
        ("annual_inc", math.inf, "range"),
        ("annual_inc", -0.01, "range"),
        ("annual_inc", 10**400, "range"),
        ("funded_amnt", 1000.5, "integer"),
        ("funded_amnt", 499, "range"),
        ("term", "term_48", "category"),
        ("term", 36, "type"),
        ("sub_grade", "a1", "category"),
    ],
)
def test_each_fault_has_its_code(loan: dict[str, Any], name: str, value: object, code: str) -> None:
    with pytest.raises(schema.InvalidRows) as caught:
        SCHEMA.from_rows([loan, {**loan, name: value}])
    problem = caught.value.problems[0]
    assert (problem.code, problem.field, problem.row) == (code, name, 1)


def test_missing_and_unknown_fields_are_all_named(loan: dict[str, Any]) -> None:
    faulty = {("anual_inc" if name == "annual_inc" else name): v for name, v in loan.items()}
    with pytest.raises(schema.InvalidRows) as caught:
        SCHEMA.from_rows([faulty])
    found = {(problem.code, problem.field): problem.expected for problem in caught.value.problems}
    assert found.keys() == {("unknown", "anual_inc"), ("missing", "annual_inc")}
    assert "annual_inc" in found["unknown", "anual_inc"]


def test_bounds_belong_to_the_range(loan: dict[str, Any]) -> None:
    for feature in SCHEMA.features:
        if isinstance(feature, schema.Number):
            for bound in (feature.low, feature.high):
                SCHEMA.from_rows([{**loan, feature.name: bound}])


def test_problems_are_capped(loan: dict[str, Any]) -> None:
    with pytest.raises(schema.InvalidRows) as caught:
        SCHEMA.from_rows([{}] * 1000)
    assert len(caught.value.problems) == 20


def test_categories_become_their_place_and_skewed_numbers_their_logarithm(
    loan: dict[str, Any],
) -> None:
    row = SCHEMA.from_rows([{**loan, "sub_grade": "B1", "annual_inc": 1000, "int_rate": 12.5}])[0]
    assert row[SCHEMA.names.index("sub_grade")] == 5
    assert row[SCHEMA.names.index("annual_inc")] == pytest.approx(math.log(1001))
    assert row[SCHEMA.names.index("int_rate")] == 12.5


def test_a_line_of_csv_reads_as_the_same_loan(loans: pd.DataFrame) -> None:
    columns = MODEL.dataset.columns(loans)
    text = loans.astype(str).to_dict("records")
    rows = [SCHEMA.from_text({str(name): cell for name, cell in row.items()}) for row in text]
    np.testing.assert_array_equal(SCHEMA.from_rows(rows), SCHEMA.from_columns(columns))


def test_an_empty_cell_is_missing(loan: dict[str, Any]) -> None:
    row = SCHEMA.from_text({**{name: str(value) for name, value in loan.items()}, "inq_fi": ""})
    with pytest.raises(schema.InvalidRows, match="inq_fi: missing"):
        SCHEMA.from_rows([row])


def test_the_schema_hash_is_pinned() -> None:
    """Whoever changes a feature changes this line, and every model must be trained again."""
    expected = "sha256:449959ba523072654e78ed9502c7ffbd76dafd328491155ae554546680a9ed1a"
    assert SCHEMA.hash() == expected


def test_the_state_of_residence_is_no_feature() -> None:
    assert "addr_state" not in SCHEMA.names


def test_a_schema_is_read_back_from_its_document() -> None:
    assert schema.Schema.parse(SCHEMA.document()) == SCHEMA
    assert schema.Schema.parse(json.loads(json.dumps(SCHEMA.document()))).hash() == SCHEMA.hash()


def test_a_model_that_is_not_defined_is_refused_by_naming_those_that_are() -> None:
    with pytest.raises(console.Refused, match=r"no model 'churn' in app/models.*credit-default"):
        definition.find("churn")
