"""Whatever is sent, the answer is JSON, and never a 5xx."""

import json
from typing import Any

import pytest
from conftest import ERROR_FIELDS, INFER, SCHEMA
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

pytestmark = pytest.mark.slow

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
FORMS = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs"])
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(SCHEMA.names) | st.text(),
        "shape": st.lists(st.integers(-2, 3), max_size=3),
        "datatype": st.sampled_from(["FP64", "INT64", "BYTES", "BOOL", "?"]),
        "data": st.lists(JSON, max_size=3),
    }
)


@given(body=JSON)
def test_any_json_is_answered_with_json_and_no_5xx(client: TestClient, body: object) -> None:
    for path in ("/predict", INFER, "/invocations"):
        answer = client.post(path, content=json.dumps(body).encode())
        assert 400 <= answer.status_code < 500
        assert answer.json().keys() == ERROR_FIELDS


@given(inputs=st.lists(TENSORS, max_size=3))
def test_any_tensors_are_answered_with_json_and_no_5xx(
    client: TestClient, inputs: list[dict[str, Any]]
) -> None:
    answer = client.post(INFER, content=json.dumps({"inputs": inputs}).encode())
    assert answer.status_code in (400, 413, 422)
    assert answer.json().keys() == ERROR_FIELDS


@given(form=FORMS, value=JSON | st.dictionaries(st.sampled_from(SCHEMA.names), JSON))
def test_any_invocation_is_answered_with_json_and_no_5xx(
    client: TestClient, form: str, value: object
) -> None:
    answer = client.post("/invocations", content=json.dumps({form: value}).encode())
    assert answer.status_code in (400, 422)
    assert answer.json().keys() == ERROR_FIELDS


@given(columns=st.lists(st.sampled_from(SCHEMA.names)), data=st.lists(st.lists(SCALARS)))
def test_any_data_frame_is_answered_with_json_and_no_5xx(
    client: TestClient, columns: list[str], data: list[list[object]]
) -> None:
    frame = {"dataframe_split": {"columns": columns, "data": data}}
    answer = client.post("/invocations", content=json.dumps(frame).encode())
    assert answer.status_code in (400, 422)
    assert answer.json().keys() == ERROR_FIELDS


@given(body=st.binary())
def test_any_bytes_are_answered_with_json_and_no_5xx(client: TestClient, body: bytes) -> None:
    answer = client.post("/predict", content=body)
    assert answer.status_code in (400, 422)
    assert answer.json().keys() == ERROR_FIELDS


@given(name=st.sampled_from(SCHEMA.names), value=SCALARS)
def test_any_value_is_scored_or_refused_by_name(
    client: TestClient, loan: dict[str, Any], name: str, value: object
) -> None:
    answer = client.post("/predict", content=json.dumps({**loan, name: value}).encode())
    if answer.status_code == 200:
        assert 0 <= answer.json()["probability"] <= 1
    elif answer.status_code == 422 and answer.json()["code"] != "schema":
        assert [problem["field"] for problem in answer.json()["problems"]] == [name]
    else:
        assert answer.json()["code"] in ("json", "schema")
