"""What is sent to exhaust the server is refused, in bounded memory, and others are served."""

# ruff: noqa: F811 - fixtures that are imported

import contextlib
import gzip
import http.client
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from test_server import Running, Start, environment, start  # noqa: F401 - fixtures

from app.serving import service

pytestmark = pytest.mark.slow

MIB = 1 << 20
GROWTH_OF_ONE = 16 * MIB
"""Most that a body which is refused may cost, however long it is."""
GROWTH = 64 * MIB
"""Most that an attack may cost, whose bodies in part are 20 MB."""


class Memory:
    """The peak of a process's resident memory, from now on."""

    def __init__(self, running: Running) -> None:
        self._process = Path(f"/proc/{running.process.pid}")
        (self._process / "clear_refs").write_text("5")
        self._before = self._peak()

    def growth(self) -> int:
        """Bytes above what it was."""
        return self._peak() - self._before

    def _peak(self) -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", (self._process / "status").read_text())
        assert found is not None
        return int(found[1]) << 10


def _serving(start: Start, loan: dict[str, Any]) -> Running:
    running = start()
    # A log that nobody reads would stop the server.
    log: Any = running.process.stdout
    threading.Thread(target=lambda: list(iter(lambda: log.read(MIB), b"")), daemon=True).start()
    running.wait_for("/v2/health/ready", 200)
    assert _score(running.connect(), loan) == 200
    return running


def _score(connection: http.client.HTTPConnection, loan: dict[str, Any]) -> int:
    connection.request("POST", "/predict", json.dumps(loan))
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_gibibyte_that_is_really_sent_is_refused_in_little_memory(
    start: Start, loan: dict[str, Any]
) -> None:
    running = _serving(start, loan)
    memory = Memory(running)
    chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as client:

        def send() -> None:
            nonlocal sent
            client.sendall(
                b"POST /predict HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            # It ends the connection once the sender had ample time to see the answer.
            with contextlib.suppress(ConnectionError):
                for _ in range(1024):
                    client.sendall(chunk)
                    sent += MIB
                client.sendall(b"0\r\n\r\n")

        sender = threading.Thread(target=send)
        sender.start()
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["code"]) == (413, "too_large")
        sender.join(60)
        assert not sender.is_alive()
    assert sent > 8 * MIB, "far more than a body may have was on its way"
    assert memory.growth() < GROWTH_OF_ONE
    assert _score(running.connect(), loan) == 200


def test_a_thousand_slow_bodies_take_what_bodies_may_and_no_more(
    start: Start, loan: dict[str, Any]
) -> None:
    running = _serving(start, loan)
    memory = Memory(running)
    half = b" " * 50_000
    head = b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % (2 * len(half))
    other, refused = running.connect(), 0
    with contextlib.ExitStack() as stack:
        slow = []
        for turn in range(1000):
            client = socket.create_connection(("127.0.0.1", running.port), timeout=30)
            slow.append(stack.enter_context(client))
            client.sendall(head + half)
            if turn % 50 == 0:
                assert _score(other, loan) == 200
        assert _score(other, loan) == 200
        time.sleep(1)
        print("GROWTH0", memory.growth() / MIB)
        for client in slow:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                answer = client.recv(4096)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 1\r\n" in answer
                refused += 1
    assert 1000 - refused <= service.BODY_BYTES / len(half)
    assert refused < 500, "they share what there is"
    assert memory.growth() < service.BODY_BYTES + 28 * MIB, "12 MB are of the connections"
    _until_served(running, head + half + half)


def _until_served(running: Running, request: bytes) -> None:
    """Wait until a body that comes in pieces has room again."""
    deadline = time.monotonic() + 10
    while True:
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as client:
            client.sendall(request[: len(request) // 2])
            time.sleep(0.05)
            client.sendall(request[len(request) // 2 :])
            status = client.recv(4096)[9:12]
        if status != b"503":
            assert status == b"400", "blanks are no JSON"
            return
        assert time.monotonic() < deadline, "what was taken never came back"


def test_an_attack_takes_bounded_memory_and_another_client_is_served_throughout(
    start: Start, loan: dict[str, Any]
) -> None:
    running = _serving(start, loan)
    memory = Memory(running)
    other, statuses, over = running.connect(), [_score(running.connect(), loan)], threading.Event()

    def ask() -> None:
        while not over.is_set():
            statuses.append(_score(other, loan))
            time.sleep(0.01)

    bomb = gzip.compress(b" " * (100 * MIB))
    packed: tuple[bytes, dict[str, str], int] = (bomb, {"content-encoding": "gzip"}, 415)
    deep = b'{"loan_amnt":' * 50_000
    attacks = [packed, packed, (b"[" * 500_000, {}, 422), (deep, {}, 400)]

    def attack(turn: int) -> tuple[int, int]:
        body, headers, status = attacks[turn % len(attacks)]
        connection = running.connect()
        connection.request("POST", "/predict", body, headers)
        found = connection.getresponse().status
        connection.close()
        return found, status

    client = threading.Thread(target=ask)
    client.start()
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        for _ in range(1000):
            slow = socket.create_connection(("127.0.0.1", running.port), timeout=30)
            stack.enter_context(slow)
            head = b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\n"
            slow.sendall(head + b" " * 20_000)
        stack.callback(over.set)
        answers = list(pool.map(attack, range(100 * len(attacks))))
    client.join(30)
    assert {(found, status) for found, status in answers if found not in (status, 503)} == set()
    assert set(statuses) == {200}
    assert len(statuses) > 20
    assert memory.growth() < GROWTH
