"""Requests that arrive together are scored together, and each is answered as if it were alone."""

import asyncio
import http.client
import json
from collections.abc import Generator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import sample
from rest_harness import HEAD, answered, opened, scored, serving

from app.serving import inference
from app.serving.service import Service


@pytest.fixture
def port(service: Service) -> Generator[int]:
    """The port of a server on a loop of its own."""
    with serving(service) as found:
        yield found


def _piped(port: int, bodies: list[bytes]) -> list[tuple[int, dict[str, Any]]]:
    """The answers to requests that are sent in one go; their ids are their places."""
    one = HEAD + b"content-length: %d\r\nx-request-id: %d\r\n\r\n%b"
    sent = b"".join(one % (len(body), turn, body) for turn, body in enumerate(bodies))
    found = []
    with opened(port, sent) as client, client.makefile("rb") as reader:
        for turn in range(len(bodies)):
            status = int(reader.readline().split()[1])
            headers = http.client.parse_headers(reader)
            assert headers["x-request-id"] == str(turn), "in order"
            found.append((status, json.loads(reader.read(int(headers["content-length"])))))
    return found


def test_what_is_scored_together_is_answered_each_for_itself(
    port: int, service: Service, rows: list[dict[str, Any]]
) -> None:
    distinct = [rows[turn % len(rows)] for turn in range(40)]
    expected = inference.score_rows(service, distinct, "").tolist()
    bodies = [json.dumps([row, row]).encode() for row in distinct]
    bodies[7], bodies[11] = b"{", json.dumps({**distinct[11], "term": "never"}).encode()
    bodies[13] = json.dumps(distinct[13]).encode()
    answers = _piped(port, bodies)
    assert [status for status, _ in answers[7:12]] == [400, 200, 200, 200, 422]
    assert answers[13][1]["probability"] == pytest.approx(expected[13], abs=1e-6)
    for turn in set(range(40)) - {7, 11, 13}:
        assert answers[turn][1]["probabilities"] == pytest.approx([expected[turn]] * 2, abs=1e-6)
    assert service.waiting == 0


def test_a_bug_in_scoring_together_is_answered_and_nobody_waits_for_ever(
    port: int, service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    score = service.loaded().score

    def fail(matrix: Any) -> Any:  # noqa: ANN401 - numpy's
        if len(matrix) > 2:
            raise ZeroDivisionError
        return score(matrix)

    monkeypatch.setattr(service.loaded(), "score", fail)
    bodies = [json.dumps([loan] * rows).encode() for rows in (1, 3, 2)]
    assert [status for status, _ in _piped(port, bodies)] == [200, 500, 200]
    assert service.waiting == 0
    assert sample(service, "inference_error_total", reason="internal") == 1


def test_more_than_may_wait_are_refused_in_their_order(
    port: int, service: Service, loan: dict[str, Any]
) -> None:
    service.most_waiting = 3
    answers = _piped(port, [json.dumps(loan).encode()] * 5)
    assert [status for status, _ in answers] == [200] * 3 + [503] * 2
    assert scored(port, loan), "it recovers at once"
    assert sample(service, "inference_error_total", reason="shed") == 2


def test_rows_that_are_waited_for_keep_their_place(
    port: int, service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        async def rows(self, ids: Sequence[int]) -> list[dict[str, Any]]:
            await asyncio.sleep(0.05)
            return [loan for _ in ids]

    service.online = Slow()
    monkeypatch.setattr(service.loaded(), "info", SimpleNamespace(key="loan_id"))
    known, whole = b'{"loan_id": 1}', json.dumps(loan).encode()
    answers = _piped(port, [whole, known, whole, known, b"{", whole])
    assert [status for status, _ in answers] == [200, 200, 200, 200, 400, 200]
    assert service.waiting == 0


def test_the_last_answer_of_a_connection_says_so_and_ends_it(
    port: int, service: Service, loan: dict[str, Any]
) -> None:
    body = json.dumps(loan).encode()
    request = b"content-length: %d\r\n\r\n" % len(body) + body
    for head in (HEAD + b"connection: close\r\n", HEAD.replace(b"1.1", b"1.0"), HEAD):
        service.draining = head == HEAD
        with opened(port, head + request) as client:
            status, _, answer = answered(client)
            assert (status, answer.headers["connection"]) == (200, "close")
            assert client.recv(1) == b""
