"""What is posted to the watch is durable before it is answered, and nothing can exhaust it."""

import asyncio
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore
from starlette.testclient import TestClient
from watch_harness import DAY, NAME, NOW, label, line, log, pairs

from app.watch import server
from app.watch.memory import Memory
from app.watch.metrics import Metrics
from app.watch.server import App
from app.watch.windows import Windows


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.time, "time", lambda: NOW)


@pytest.fixture
def bucket() -> MemoryStore:
    found = MemoryStore()
    log(found, "a", [line("r1", NOW - DAY), line("r2", NOW - DAY)])
    return found


@pytest.fixture
def memory(bucket: MemoryStore) -> Memory:
    found = Memory(bucket, NAME, 7, 10)
    found.look_for_requests(NOW, Windows(["x"], 3600, 3), lambda: False)
    return found


@pytest.fixture
def client(memory: Memory) -> TestClient:
    memory.look_for_outcomes(NOW, lambda: False)
    app: Any = App(memory, Metrics(NAME, 7), lambda: True)
    return TestClient(app, raise_server_exceptions=False)


def objects(bucket: MemoryStore) -> list[str]:
    return [item["path"] for item in obstore.list(bucket, "labels").collect()]


def test_one_outcome_or_a_list_is_written_and_joined(
    client: TestClient, bucket: MemoryStore, memory: Memory
) -> None:
    answer = client.post("/outcomes", json={"id": "r1", "outcome": 1})
    assert (answer.status_code, answer.json()) == (200, {"new": 1, "known": 0})
    assert len(objects(bucket)) == 1
    both = [{"id": "r1", "outcome": 1, "time": NOW}, {"id": "r2", "row": 0, "outcome": 0}]
    answer = client.post("/outcomes", json=both)
    assert (answer.status_code, answer.json()) == (200, {"new": 1, "known": 1})
    assert len(objects(bucket)) == 2
    assert pairs(memory.joined(since=0, until=NOW)[7]) == [(0.5, 0), (0.5, 1)]
    assert client.post("/outcomes", json=both).json() == {"new": 0, "known": 2}
    assert len(objects(bucket)) == 2, "what is known is not written again"


def test_the_object_is_there_before_the_answer(
    client: TestClient, bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise obstore.exceptions.GenericError("down")

    with monkeypatch.context() as down:
        down.setattr(obstore, "put", fails)
        answer = client.post("/outcomes", json={"id": "r1", "outcome": 1})
    assert (answer.status_code, answer.json()["code"]) == (503, "bucket")
    assert answer.headers["retry-after"]
    again = client.post("/outcomes", json={"id": "r1", "outcome": 1})
    assert again.json() == {"new": 1, "known": 0}


def test_the_first_outcome_stands(client: TestClient, bucket: MemoryStore) -> None:
    client.post("/outcomes", json={"id": "r1", "outcome": 1})
    answer = client.post("/outcomes", json=[{"id": "r2", "outcome": 1}, {"id": "r1", "outcome": 0}])
    assert (answer.status_code, answer.json()["code"]) == (409, "known")
    assert answer.json()["problems"] == [
        {"index": 1, "field": "outcome", "expected": "1, as it was reported first"}
    ]
    assert len(objects(bucket)) == 1, "nothing of that list is taken"


def test_faults_are_located(client: TestClient, bucket: MemoryStore) -> None:
    answer = client.post("/outcomes", json=[{"id": "r1", "outcome": 1}, {"id": "r1", "outcome": 7}])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    (problem,) = answer.json()["problems"]
    assert (problem["index"], problem["field"]) == (1, "outcome")
    assert objects(bucket) == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json"),
        (b"{", 400, "json"),
        (b"7", 400, "json"),
        (b'{"id":"\xff"}', 400, "json"),
        (b"[" * 100_000, 400, "json"),
        (b"[]", 413, "too_many"),
        (b"[" + b",".join([b"1"] * 5001) + b"]", 413, "too_many"),
        (b" " * (1 << 20) + b" ", 413, "too_large"),
    ],
    ids=["empty", "cut", "number", "no UTF-8", "deep", "none", "too many", "too large"],
)
def test_what_is_no_list_of_outcomes_is_refused(
    client: TestClient, body: bytes, status: int, code: str
) -> None:
    answer = client.post("/outcomes", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_before_the_known_outcomes_are_read_none_is_taken(memory: Memory) -> None:
    app: Any = App(memory, Metrics(NAME, 7), lambda: True)
    client = TestClient(app)
    assert client.get("/readyz").status_code == 503
    answer = client.post("/outcomes", json={"id": "r1", "outcome": 1})
    assert (answer.status_code, answer.json()["code"]) == (503, "loading")
    memory.look_for_outcomes(NOW, lambda: False)
    assert client.get("/readyz").status_code == 200
    assert client.post("/outcomes", json={"id": "r1", "outcome": 1}).status_code == 200


def test_alive_is_what_the_watch_says(memory: Memory) -> None:
    for alive, status in ((True, 200), (False, 503)):
        app: Any = App(memory, Metrics(NAME, 7), lambda alive=alive: alive)
        assert TestClient(app).get("/healthz").status_code == status


def test_other_routes_and_methods_are_refused(client: TestClient) -> None:
    assert client.get("/outcomes").status_code == 405
    assert client.post("/metrics").status_code == 405
    assert client.get("/").status_code == 404
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


def test_two_that_contradict_at_once_are_not_both_taken(
    memory: Memory, bucket: MemoryStore
) -> None:
    memory.look_for_outcomes(NOW, lambda: False)
    app = App(memory, Metrics(NAME, 7), lambda: True)

    async def both() -> list[bytes | BaseException]:
        bodies = [b'{"id":"r1","outcome":%d}' % outcome for outcome in (0, 1)]
        return await asyncio.gather(*map(app._take, bodies), return_exceptions=True)

    found = asyncio.run(both())
    assert sum(isinstance(each, bytes) for each in found) == 1
    assert len(objects(bucket)) == 1


def test_a_body_that_never_ends_is_given_up(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RECEIVE_SECONDS", 0.05)
    sent: list[Any] = []

    async def never() -> Any:  # noqa: ANN401
        await asyncio.sleep(60)

    async def send(message: Any) -> None:  # noqa: ANN401
        sent.append(message)

    app = App(memory, Metrics(NAME, 7), lambda: True)
    scope = {"type": "http", "method": "POST", "path": "/outcomes"}
    asyncio.run(asyncio.wait_for(app(scope, never, send), 5))
    assert sent[0]["status"] == 408


def test_known_outcomes_of_the_bucket_count_too(bucket: MemoryStore, memory: Memory) -> None:
    label(bucket, NOW - 60, {"r1": 0})
    memory.look_for_outcomes(NOW, lambda: False)
    app: Any = App(memory, Metrics(NAME, 7), lambda: True)
    assert TestClient(app).post("/outcomes", json={"id": "r1", "outcome": 1}).status_code == 409
