"""MLflow's forms of a request and its own clients; rows by entity id; the sampled log."""

import socket
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any

import msgspec
import pandas as pd
import pytest
import uvicorn
from conftest import INFER, SCHEMA
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from starlette.testclient import TestClient

from app.serving import model, web
from app.serving.service import Rejected, Service

Json = dict[str, Any]


@pytest.fixture
def frame(loans: pd.DataFrame) -> pd.DataFrame:
    return loans[list(SCHEMA.names)].head(7)


@pytest.fixture
def expected(loaded: model.Model, frame: pd.DataFrame) -> list[float]:
    return loaded.score(SCHEMA.from_rows(_records(frame))).tolist()


def _records(frame: pd.DataFrame) -> list[Json]:
    return [dict(zip(frame, row, strict=True)) for row in frame.to_numpy().tolist()]


def _split(frame: pd.DataFrame) -> Json:
    return {"columns": list(frame), "data": frame.to_numpy().tolist()}


def test_every_form_gives_the_same_predictions(
    client: TestClient, frame: pd.DataFrame, expected: list[float]
) -> None:
    records, columns = _records(frame), frame.to_dict(orient="list")
    for body in (
        {"dataframe_split": _split(frame)},
        {"dataframe_split": {**_split(frame), "index": list(range(7))}},
        {"dataframe_records": records},
        {"instances": records},
        {"inputs": records},
        {"inputs": columns},
        {"inputs": {name: [[value] for value in values] for name, values in columns.items()}},
        {"instances": columns, "params": {"a": 1}},
    ):
        answer = client.post("/invocations", json=body)
        assert (answer.status_code, answer.json()) == (200, {"predictions": expected})
    one = client.post("/invocations", json={"inputs": records[0]})
    assert one.json()["predictions"] == pytest.approx(expected[:1], abs=1e-6)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "schema"),
        ({"data": []}, "schema"),
        ({"instances": [{}], "inputs": [{}]}, "schema"),
        ({"dataframe_split": {"data": [[1]]}}, "schema"),
        ({"dataframe_split": {"columns": ["a"], "data": []}}, "empty"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "shape"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "duplicate"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, "unknown"),
        ({"dataframe_split": {"columns": [], "data": [[]]}}, "empty"),
        ({"dataframe_records": []}, "empty"),
        ({"dataframe_records": [[1]]}, "schema"),
        ({"instances": [{}]}, "missing"),
        ({"inputs": {}}, "empty"),
        ({"inputs": {"term": [], "int_rate": []}}, "empty"),
        ({"inputs": {"term": ["term_36"], "int_rate": [1, 2]}}, "shape"),
        ({"inputs": [1.0]}, "schema"),
    ],
)
def test_each_bad_invocation_has_its_code(client: TestClient, body: Json, code: str) -> None:
    answer = client.post("/invocations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize("path", ["/predict", INFER, "/invocations"])
def test_a_key_given_twice_is_refused_at_any_depth(client: TestClient, path: str) -> None:
    good = {
        "/predict": '{"a": 1, "b": 2}',
        INFER: '{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}]}',
        "/invocations": '{"dataframe_split": {"columns": ["a:b"], "data": [[1]]}}',
    }[path]
    assert client.post(path, content=good).json()["code"] in ("missing", "unknown")
    for place in range(good.count("{")):
        head, tail = "{".join(good.split("{")[: place + 1]), good.split("{")[place + 1 :]
        repeated = f'{head}{{"x": 1, "\\u0078": 2, {"{".join(tail)}'
        answer = client.post(path, content=repeated)
        assert (answer.status_code, answer.json()["code"]) == (422, "duplicate")


@pytest.fixture
def served(service: Service) -> Generator[ScoringServerClient]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(web.create(service), interface="asgi3", log_config=None, lifespan="off")
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield ScoringServerClient("127.0.0.1", listening.getsockname()[1])
    server.should_exit = True
    thread.join()


def test_mlflows_own_client_gets_its_predictions(
    served: ScoringServerClient, service: Service, frame: pd.DataFrame, expected: list[float]
) -> None:
    served.wait_server_ready(timeout=10)
    assert served.get_version() == "7"
    predictions = served.invoke(frame).get_predictions()
    assert predictions[0].tolist() == pytest.approx(expected, abs=1e-6)
    service.draining = True
    with pytest.raises(Exception, match="ping failed"):
        served.ping()


class Store:
    """An online store that knows loan 5."""

    def __init__(self, loan: Json) -> None:
        self._loan = loan

    async def rows(self, ids: Sequence[int]) -> list[Json]:
        if any(entity != 5 for entity in ids):
            raise Rejected(404, "entity", "unknown")
        return [self._loan for _ in ids]


class Log:
    """A request log that keeps all."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, list[Json], list[float]]] = []

    def offer(self, request_id: str, rows: list[Json], scores: list[float]) -> None:
        self.kept.append((request_id, rows, scores))


def test_a_row_may_be_an_entitys_id_where_there_is_a_store(
    client: TestClient, service: Service, loaded: model.Model, loan: Json
) -> None:
    key = {"loan_id": 5}
    service.model = model.Model(
        msgspec.structs.replace(loaded.info, key="loan_id"), loaded.schema, loaded._session
    )
    assert client.post("/predict", json=key).json()["code"] == "unknown"
    service.online = Store(loan)
    expected = client.post("/predict", json=loan).json()
    assert client.post("/predict", json=key).json() == expected
    several = client.post("/predict", json=[key, key]).json()["probabilities"]
    assert several == pytest.approx([expected["probability"]] * 2, abs=1e-6)
    for body, status, code in (
        ({"loan_id": 6}, 404, "entity"),
        ([key, loan], 422, "entity"),
        ({**loan, **key}, 422, "entity"),
        ([loan, key], 422, "unknown"),
    ):
        answer = client.post("/predict", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_scored_rows_are_offered_to_the_log_whatever_their_form(
    client: TestClient, service: Service, loan: Json
) -> None:
    log = service.sampled = Log()
    headers = {"x-request-id": "mine"}
    bodies = {"/predict": loan, "/invocations": {"inputs": loan}}
    for path, body in bodies.items():
        client.post(path, json=body, headers=headers)
        client.post(path, json={**body, "x": 1}, headers=headers)
    scored = client.post("/predict", json=loan).json()["probability"]
    assert log.kept[:1] == [("mine", [loan], [scored])]
    assert [rows for _, rows, _ in log.kept] == [[loan]] * len(log.kept)
    assert len(log.kept) == 4, "an unknown parameter of an invocation is no fault"
