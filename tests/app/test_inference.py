"""Right answers to right requests; for all others the code, the field and the row."""

import json
from typing import Any

import pandas as pd
import pytest
from conftest import INFER, MODEL, SCHEMA, sample
from starlette.testclient import TestClient

from app import schema
from app.serving import inference, model
from app.serving.service import Service


def _tensors(loans: list[dict[str, Any]], nested: bool = False) -> dict[str, Any]:
    inputs = []
    for feature in SCHEMA.features:
        data = [loan[feature.name] for loan in loans]
        words = isinstance(feature, schema.Category)
        inputs.append(
            {
                "name": feature.name,
                "shape": [len(loans), 1] if nested else [len(loans)],
                "datatype": "BYTES" if words else "FP64",
                "data": [[value] for value in data] if nested else data,
            }
        )
    return {"inputs": inputs}


@pytest.fixture(scope="session")
def many(loans: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [loans[name].tolist() for name in SCHEMA.names]
    return [dict(zip(SCHEMA.names, row, strict=True)) for row in zip(*columns, strict=True)]


def test_a_loan_gets_a_probability_and_who_gave_it(
    client: TestClient, loan: dict[str, Any], loaded: model.Model
) -> None:
    answer = client.post("/predict", json=loan)
    assert answer.status_code == 200
    assert answer.json() == {
        "model": MODEL.name,
        "version": "7",
        "probability": float(loaded.score(SCHEMA.from_rows([loan]))[0]),
    }


def test_every_road_gives_the_same_probabilities(
    client: TestClient, many: list[dict[str, Any]], loaded: model.Model
) -> None:
    expected = loaded.score(SCHEMA.from_rows(many)).tolist()
    one_by_one = [client.post("/predict", json=loan).json()["probability"] for loan in many[:20]]
    assert one_by_one == pytest.approx(expected[:20], abs=1e-6)
    assert client.post("/predict", json=many).json()["probabilities"] == expected
    for nested in (False, True):
        answer = client.post(INFER, json=_tensors(many, nested)).json()
        assert answer["outputs"] == [
            {"name": "probability", "datatype": "FP32", "shape": [400], "data": expected}
        ]


def test_fields_and_tensors_may_come_in_any_order(client: TestClient, loan: dict[str, Any]) -> None:
    turned = dict(reversed(loan.items()))
    tensors = {"inputs": _tensors([loan])["inputs"][::-1]}
    expected = client.post("/predict", json=loan).json()["probability"]
    assert client.post("/predict", json=turned).json()["probability"] == expected
    answer = client.post(INFER, json=tensors).json()
    assert answer["outputs"][0]["data"] == [expected]


def test_an_open_inference_request_keeps_its_id_and_version(
    client: TestClient, loan: dict[str, Any]
) -> None:
    body = {**_tensors([loan]), "id": "mine", "outputs": [{"name": "probability"}]}
    answer = client.post(f"/v2/models/{MODEL.name}/versions/7/infer", json=body).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == (
        "mine",
        MODEL.name,
        "7",
    )


def test_the_metadata_describes_a_request_that_works(
    client: TestClient, loan: dict[str, Any]
) -> None:
    described = client.get(f"/v2/models/{MODEL.name}").json()
    inputs = [
        {"name": i["name"], "datatype": i["datatype"], "shape": [1], "data": [loan[i["name"]]]}
        for i in described["inputs"]
    ]
    assert client.post(INFER, json={"inputs": inputs}).status_code == 200
    assert client.get("/v2").json()["name"] == "ferry"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json"),
        (b"{", 400, "json"),
        (b'{"term": NaN}', 400, "json"),
        (b'{"term": "\xff"}', 400, "json"),
        (b'{"a":' * 20_000, 400, "json"),
        (b'{"term": 1e999}', 422, "schema"),
        (b"3", 422, "schema"),
        (b"[[]]", 422, "schema"),
        (b"[]", 422, "empty"),
        (b"{}", 422, "missing"),
        (b'{"x": 1}', 422, "unknown"),
    ],
)
def test_each_bad_body_has_its_code_and_is_counted(
    client: TestClient, service: Service, body: bytes, status: int, code: str
) -> None:
    answer = client.post("/predict", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert sample(service, "inference_error_total", reason=code) == 1
    assert sample(service, "prediction_latency_seconds_count") == 0


def test_a_field_given_twice_is_refused(client: TestClient, loan: dict[str, Any]) -> None:
    for repeated in ('"term": "term_36", ', '"\\u0074erm": "term_36", '):
        body = json.dumps(loan).replace("{", "{" + repeated, 1)
        answer = client.post("/predict", content=body.encode())
        assert (answer.status_code, answer.json()["code"]) == (422, "duplicate")


def test_a_wrong_loan_among_many_is_found(client: TestClient, many: list[dict[str, Any]]) -> None:
    wrong = [*many[:57], {**many[57], "annual_inc": -1}, *many[58:]]
    answer = client.post("/predict", json=wrong)
    assert answer.json()["problems"] == [
        {
            "code": "range",
            "field": "annual_inc",
            "row": 57,
            "expected": "a number from 0 to 100000000",
        }
    ]


def _changed(place: int, **changes: object) -> Any:  # noqa: ANN401 - edits JSON
    def change(body: dict[str, Any]) -> None:
        body["inputs"][place] |= changes

    return change


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        (_changed(0, shape=[2]), "shape", "funded_amnt"),
        (_changed(3, shape=[2]), "shape", "sub_grade"),
        (_changed(3, shape=[1, 1, 1]), "shape", "sub_grade"),
        (_changed(3, data=["A1", "A2"]), "shape", "sub_grade"),
        (_changed(3, data=[]), "shape", "sub_grade"),
        (_changed(3, datatype="BOOL"), "datatype", "sub_grade"),
        (_changed(3, datatype="INT64"), "type", "sub_grade"),
        (_changed(5, datatype="BYTES"), "type", "annual_inc"),
        (_changed(5, data=[{}]), "type", "annual_inc"),
        (_changed(5, data=[True]), "type", "annual_inc"),
        (_changed(5, data=[None]), "missing", "annual_inc"),
        (_changed(5, name="int_rate"), "duplicate", "int_rate"),
        (_changed(5, name="x"), "unknown", "x"),
        (lambda body: body.update(outputs=[{"name": "label"}]), "output", "label"),
        (lambda body: body["inputs"].pop(), "missing", SCHEMA.names[-1]),
    ],
)
def test_each_bad_tensor_has_its_code(
    client: TestClient,
    loan: dict[str, Any],
    change: Any,  # noqa: ANN401
    code: str,
    field: str,
) -> None:
    body = _tensors([loan])
    change(body)
    answer = client.post(INFER, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["problems"][0]["field"] == field


def test_too_many_loans_are_refused(client: TestClient, loan: dict[str, Any]) -> None:
    tensors = _tensors([loan] * 2)
    for tensor in tensors["inputs"]:
        tensor["shape"] = [inference.MAX_ROWS + 1]
    answer = client.post(INFER, json=tensors)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_rows")
