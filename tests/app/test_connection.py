"""Clients that are slow, endless, too many or no HTTP: answered, and of no harm to others."""

import contextlib
import gzip
import http.client
import json
import time
from collections.abc import Generator
from typing import Any

import pytest
from conftest import ERROR_FIELDS, sample
from rest_harness import BOUNDS, HEAD, answered, opened, scored, serving

from app.serving.service import Service

pytestmark = pytest.mark.slow


@pytest.fixture
def port(service: Service) -> Generator[int]:
    """The port of a server with narrow bounds, on a loop of its own."""
    with serving(service) as found:
        yield found


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"hello\r\n\r\n", 400, "http"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "http"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400, "http"),
        (HEAD + b"content-length: -1\r\n\r\n", 400, "http"),
        (HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "http"),
        (HEAD + b"x: " + b"y" * 5000, 431, "too_large"),
        (b"GET /" + b"y" * 5000, 431, "too_large"),
        (HEAD + b"x: y\r\n" * 1000, 431, "too_large"),
        (HEAD + b"content-length: 10\r\n\r\n{", 408, "timeout"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", 408, "timeout"),
        (HEAD, 408, "timeout"),
        (HEAD + b"content-length: 1073741824\r\n\r\n", 413, "too_large"),
        (HEAD + b"content-length: " + b"9" * 18 + b"\r\n\r\n", 413, "too_large"),
    ],
)
def test_what_is_no_whole_request_is_answered_as_json(
    port: int, service: Service, sent: bytes, status: int, code: str
) -> None:
    with opened(port, sent) as client:
        found, body, answer = answered(client)
        assert (found, body["code"]) == (status, code)
        assert body.keys() == ERROR_FIELDS
        assert answer.headers["x-request-id"] == body["requestId"]
        assert answer.headers["connection"] == "close"
        assert client.recv(1) == b""
    assert sample(service, "inference_error_total", reason=code) == 1


def test_a_head_that_comes_byte_by_byte_is_cut_off(port: int, loan: dict[str, Any]) -> None:
    client = opened(port)
    begun = time.monotonic()
    with client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for byte in HEAD * 5:
            client.sendall(bytes([byte]))
            time.sleep(0.05)
    assert time.monotonic() - begun < 5
    assert scored(port, loan)


def test_idle_connections_are_closed_and_used_ones_are_kept(
    port: int, loan: dict[str, Any]
) -> None:
    body = json.dumps(loan).encode()
    request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    with opened(port) as silent, opened(port) as used:
        for _ in range(5):
            time.sleep(0.25)
            used.sendall(request)
            assert answered(used)[0] == 200
        assert silent.recv(1) == b""
        assert used.recv(1) == b"", "once idle, it is closed"


def test_above_the_cap_a_connection_gets_503_and_the_others_go_on(
    port: int, loan: dict[str, Any]
) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(opened(port)) for _ in range(BOUNDS.connections)]
        time.sleep(0.1)
        surplus = stack.enter_context(opened(port, b"GET /ping HTTP/1.1\r\n\r\n"))
        status, body, answer = answered(surplus)
        assert (status, body["code"], answer.headers["retry-after"]) == (503, "shed", "1")
        held[0].sendall(b"GET /v2/health/ready HTTP/1.1\r\n\r\n")
        assert answered(held[0])[0] == 200
    time.sleep(0.1)
    assert scored(port, loan), "there is room again"


def test_a_body_without_end_is_refused_though_its_sender_only_reads_at_the_end(
    port: int, loan: dict[str, Any]
) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.putrequest("POST", "/predict")
    client.putheader("content-length", str(6 << 20))
    client.endheaders()
    for _ in range(6):
        client.send(b" " * (1 << 20))
    answer = client.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (413, "too_large")
    assert scored(port, loan)


def test_of_a_refused_body_only_so_much_is_read(port: int, loan: dict[str, Any]) -> None:
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    sent = 0
    with contextlib.suppress(ConnectionError), opened(port) as client:
        client.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        while sent < 100:
            client.sendall(chunk)
            sent += 1
    assert 2 <= sent < 100
    assert scored(port, loan)


def test_many_fields_are_refused_even_when_the_head_is_small(port: int) -> None:
    fields = b"aa:\r\n" * (BOUNDS.fields + 1)
    for rest in (b"", b"content-length: 0\r\n\r\n"):
        with opened(port, HEAD + fields + rest) as client:
            status, body, _ = answered(client)
            assert (status, body["code"]) == (431, "too_large")


def test_a_large_head_is_refused_though_it_comes_whole_with_its_body(
    port: int, loan: dict[str, Any]
) -> None:
    body = json.dumps(loan).encode()
    end = b"content-length: %d\r\n\r\n" % len(body) + body
    with opened(port, HEAD + b"x: " + b"y" * BOUNDS.head_bytes + b"\r\n" + end) as client:
        assert answered(client)[0] == 431
    with opened(port, b"POST /" + b"y" * BOUNDS.head_bytes + b" HTTP/1.1\r\n" + end) as client:
        assert answered(client)[0] == 431


def test_a_large_body_that_comes_with_its_head_is_no_large_head(
    port: int, loan: dict[str, Any]
) -> None:
    body = json.dumps([loan] * 30).encode()
    assert len(body) > BOUNDS.head_bytes
    with opened(port, HEAD + b"content-length: %d\r\n\r\n" % len(body) + body) as client:
        assert answered(client)[0] == 200


def test_endless_pipelining_ends_the_connection(port: int, loan: dict[str, Any]) -> None:
    with opened(port, b"GET /ping HTTP/1.1\r\n\r\n" * (BOUNDS.pipelined + 8)) as client:
        assert client.makefile("rb").read().count(b"HTTP/1.1 200") <= BOUNDS.pipelined
    assert scored(port, loan)


def test_a_gzip_bomb_stays_packed(port: int) -> None:
    bomb = gzip.compress(b" " * (10 << 20))
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("POST", "/predict", bomb, {"content-encoding": "gzip"})
    answer = client.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (415, "encoding")


def test_an_upgrade_is_refused_with_a_body_and_ignored_without(port: int) -> None:
    upgrade = b"connection: upgrade\r\nupgrade: h2c\r\n"
    with opened(port, HEAD + upgrade + b"content-length: 2\r\n\r\n{}") as client:
        status, body, _ = answered(client)
        assert (status, body["code"]) == (400, "http")
    with opened(port, b"GET /ping HTTP/1.1\r\n" + upgrade + b"\r\n") as client:
        status, _, answer = answered(client)
        assert status == 200
        assert answer.headers["connection"] == "close", "the parser is of no more use"


def test_pipelined_requests_are_answered_in_order(port: int, loan: dict[str, Any]) -> None:
    body = json.dumps(loan).encode()
    one = HEAD + b"content-length: %d\r\nx-request-id: %d\r\n\r\n" + body
    with opened(port, b"".join(one % (len(body), turn) for turn in range(20))) as client:
        reader = client.makefile("rb")
        for turn in range(20):
            lines = iter(reader.readline, b"\r\n")
            headers = dict(line.strip().lower().split(b": ", 1) for line in lines if b": " in line)
            assert headers[b"x-request-id"] == b"%d" % turn
            assert b"probability" in reader.read(int(headers[b"content-length"]))
