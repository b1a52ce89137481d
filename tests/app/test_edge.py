"""Bounds, probes, metrics, ids and logs around every request."""

import json
from typing import Any

import numpy as np
import pytest
from conftest import ERROR_FIELDS, MODEL, SCHEMA, sample
from starlette.testclient import TestClient

from app.serving import logs, metrics, model, openapi, web
from app.serving.service import Service


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_above_the_bound_is_refused(client: TestClient, streamed: bool) -> None:
    body = b" " * 200_001
    content = iter([body[:100_000], body[100_000:]]) if streamed else body
    answer = client.post("/predict", content=content)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    # What was declared too large is not read to its end; what was read leaves a usable connection.
    assert ("connection" in answer.headers) == (not streamed)


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    answer = client.post("/predict", content=b"x", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "encoding")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/predict/", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", f"/v2/models/{MODEL.name}/versions/8/infer", 404),
        ("GET", "/predict", 405),
        ("PUT", "/metrics", 405),
    ],
)
def test_other_routes_are_refused_as_json(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json().keys() == ERROR_FIELDS
    assert ("allow" in answer.headers) == (status == 405)


def test_a_good_request_id_comes_back_and_a_bad_one_is_replaced(
    client: TestClient, loan: dict[str, Any]
) -> None:
    def identify(given: str) -> str:
        answer = client.post("/predict", json=loan, headers={"x-request-id": given})
        return answer.headers["x-request-id"]

    assert identify("order-17.a_b") == "order-17.a_b"
    for bad in ("", "a b", "x" * 65, "<script>"):
        assert identify(bad) not in ("", bad)
    error = client.post("/predict", content=b"{", headers={"x-request-id": "mine"})
    assert error.json()["requestId"] == error.headers["x-request-id"] == "mine"


def test_the_log_tells_of_the_request_and_not_of_the_loan(
    client: TestClient, loan: dict[str, Any], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    secret = {**loan, "annual_inc": 123456.789, "borrower": "Ada"}
    client.post("/predict?name=Ada", json=secret, headers={"x-request-id": "mine"})
    logs.drain()
    line = capfdbinary.readouterr().out.splitlines()[-1]
    entry = json.loads(line)
    assert (entry["id"], entry["route"], entry["status"]) == ("mine", "predict", 422)
    assert b"123456" not in line
    assert b"Ada" not in line
    assert b"borrower" not in line
    logs.drain()
    assert capfdbinary.readouterr().out == b"", "each line once"


def test_the_articles_three_metrics_are_exposed(
    client: TestClient, service: Service, loan: dict[str, Any], loaded: model.Model
) -> None:
    client.post("/predict", json=loan)
    client.post("/predict", json={})
    text = client.get("/metrics").text
    labels = f'{{model="{MODEL.name}",version="7"}}'
    assert f"prediction_latency_seconds_count{labels} 1.0" in text
    held_out = f'prediction_accuracy{{basis="held_out",{labels[1:]}'
    assert f"{held_out} {loaded.info.metrics.accuracy.value}" in text
    expected = f'inference_error_total{{model="{MODEL.name}",reason="missing",version="7"}} 1.0'
    assert expected in text
    assert "process_resident_memory_bytes" in text


def test_every_reason_has_a_series_from_the_start(service: Service) -> None:
    for reason in metrics.REASONS:
        assert sample(service, "inference_error_total", reason=reason) == 0


def test_nothing_is_ready_before_the_model_is(loaded: model.Model, loan: dict[str, Any]) -> None:
    service = Service(name="m", version="1", metrics=metrics.Metrics("m", "1"))
    client = TestClient(web.create(service))
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    refused = client.post("/predict", json=loan)
    assert (refused.status_code, refused.json()["code"]) == (503, "loading")
    assert refused.headers["retry-after"] == "1"
    service.serve(loaded)
    for path in (
        "/v2/health/ready",
        "/v2/models/m/ready",
        "/v2/models/m/versions/1/ready",
    ):
        assert client.get(path).status_code == 200
    assert client.post("/predict", json=loan).status_code == 200


def test_a_draining_server_is_not_ready_yet_answers_and_closes(
    client: TestClient, service: Service, loan: dict[str, Any]
) -> None:
    service.draining = True
    assert client.get("/v2/health/ready").status_code == 503
    answer = client.post("/predict", json=loan)
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"


def test_a_prediction_is_shed_when_as_many_wait_as_may_and_a_probe_is_not(
    client: TestClient, service: Service, loan: dict[str, Any]
) -> None:
    service.waiting = service.most_waiting - 1
    assert client.post("/predict", json=loan).status_code == 200
    assert service.waiting == service.most_waiting - 1, "it waits no more"
    service.waiting += 1
    answer = client.post("/predict", json=loan)
    assert (answer.status_code, answer.json()["code"]) == (503, "shed")
    assert answer.headers["retry-after"] == "1"
    assert client.get("/v2/health/ready").status_code == 200
    assert service.waiting == service.most_waiting, "who was refused never waited"


def test_a_bug_is_answered_as_json_and_logged_without_the_loan(
    client: TestClient,
    loan: dict[str, Any],
    loaded: model.Model,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def fail(matrix: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError(str(matrix))

    monkeypatch.setattr(loaded, "score", fail)
    answer = client.post("/predict", json=loan)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    logs.drain()
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    [entry] = [line for line in lines if line["event"] == "bug"]
    assert entry["id"] == answer.headers["x-request-id"]
    assert "B5" not in str(entry)


def test_the_description_lists_every_route_and_field(
    client: TestClient, loan: dict[str, Any]
) -> None:
    described = client.get("/openapi.json").json()
    assert described == json.loads(json.dumps(openapi.document(MODEL.name, "7", SCHEMA)))
    assert described["components"]["schemas"]["Row"]["properties"].keys() == loan.keys()
    for path, operations in described["paths"].items():
        for method in operations:
            assert client.request(method, path).status_code not in (404, 405)
