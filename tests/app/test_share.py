"""What bodies hold is bounded over all requests, and every byte that was taken is given back."""

import asyncio
import json
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from conftest import sample
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rest_harness import HEAD, answered, opened, scored, serving
from uvicorn.server import ServerState

from app.serving import connection, edge, web
from app.serving.connection import Connection
from app.serving.service import Service
from app.serving.share import Total

MOST = 300


def test_what_does_not_fit_is_refused_and_so_is_all_that_follows() -> None:
    total = Total(10)
    first, second = total.share(), total.share()
    assert first.take(6)
    assert not second.take(5)
    assert (second.full, total.taken) == (True, 6)
    assert not second.take(1), "a body with a hole is none"
    assert second.dropped == 6
    assert first.take(4), "up to the last byte"
    assert (first.full, total.taken) == (False, 10)


def test_what_was_given_back_holds_nothing_any_more() -> None:
    total = Total(10)
    share = total.share()
    share.take(6)
    share.give_back()
    share.give_back()
    assert total.taken == 0
    assert not share.take(1)
    assert (share.full, share.dropped, total.taken) == (False, 1, 0)


class Wire(asyncio.Transport):
    """A transport that notes only whether it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.written = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's
        return default

    def write(self, data: Any) -> None:  # noqa: ANN401 - asyncio's
        self.written += data

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Client:
    """A connection, and how much of its last body is still to be sent."""

    def __init__(self, made: Connection) -> None:
        self.wire = Wire()
        self.made = made
        self.left = 0
        made.connection_made(self.wire)


class Clients(RuleBasedStateMachine):
    """Clients that send bodies in pieces, wait for rows, give up, and come too late."""

    def __init__(self, service: Service, loan: dict[str, Any]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.found = asyncio.Event()
        self.service = service
        self.loan = loan
        service.bodies = Total(MOST)
        service.online = self
        self.app = web.create(service, edge.Bounds(body_bytes=200, dropped_bytes=100))
        self.kind = connection.of(self.app)
        self.config = uvicorn.Config(self.app, interface="asgi3", log_config=None, lifespan="off")
        self.state = ServerState()
        self.clients: list[Client] = []

    async def rows(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """As an online store, which answers when it likes."""
        await self.found.wait()
        return [self.loan for _ in ids]

    def _client(self, turn: int) -> Client:
        self.clients = [client for client in self.clients if client.made.parser is not None]
        if turn >= len(self.clients):
            made = self.kind(self.config, self.state, {}, _loop=self.loop)
            self.clients.append(Client(made))
        return self.clients[turn % len(self.clients)]

    def _send(self, client: Client, data: bytes) -> None:
        async def send() -> None:
            client.made.data_received(data)

        self.loop.run_until_complete(send())
        self._settle()

    def _settle(self) -> None:
        async def settle() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        self.loop.run_until_complete(settle())
        for client in self.clients:
            if client.wire.closed and client.made.parser is not None:
                client.made.connection_lost(None)
        self.loop.run_until_complete(settle())

    @rule(
        turn=st.integers(0, 4),
        size=st.integers(1, 260),
        sent=st.integers(0, 260),
        path=st.sampled_from(["/predict", "/nowhere"]),
    )
    def begin(self, turn: int, size: int, sent: int, path: str) -> None:
        client = self._client(turn)
        if client.left or client.wire.closed:
            return
        now = min(size, sent)
        head = f"POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {size}\r\n\r\n"
        client.left = size - now
        self._send(client, head.encode() + b" " * now)

    @rule(turn=st.integers(0, 4), size=st.integers(1, 260))
    def go_on(self, turn: int, size: int) -> None:
        client = self._client(turn)
        now = 0 if client.wire.closed else min(size, client.left)
        client.left -= now
        self._send(client, b" " * now)

    @rule(turn=st.integers(0, 4))
    def ask_by_id_and_begin_another(self, turn: int) -> None:
        client = self._client(turn)
        if client.left or client.wire.closed:
            return
        body = b'{"loan_id": 1}'
        client.left = 50
        one = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
        self._send(client, one + one + HEAD + b"content-length: 100\r\n\r\n" + b" " * 50)

    @precondition(lambda self: self.clients)
    @rule(turn=st.integers(0, 4))
    def go(self, turn: int) -> None:
        self.clients[turn % len(self.clients)].wire.close()
        self._settle()

    @precondition(lambda self: self.clients)
    @rule(turn=st.integers(0, 4))
    def be_late(self, turn: int) -> None:
        self.clients[turn % len(self.clients)].made.expire(time.perf_counter() + 60)
        self._settle()

    @rule()
    def find(self) -> None:
        self.found.set()
        self._settle()
        self.found.clear()

    @rule()
    def cancel(self) -> None:
        for task in list(self.state.tasks):
            task.cancel()
        self._settle()

    @invariant()
    def never_more_than_may_be(self) -> None:
        assert 0 <= self.service.bodies.taken <= MOST

    def teardown(self) -> None:
        for client in self.clients:
            client.wire.close()
        self._settle()
        self.find()
        self.loop.close()
        assert self.service.bodies.taken == 0, "all that was taken was given back"
        assert self.service.waiting == 0


def test_whatever_clients_do_all_that_was_taken_is_given_back(
    service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.loaded(), "info", SimpleNamespace(key="loan_id"))
    run_state_machine_as_test(
        lambda: Clients(service, loan),  # ty: ignore
        settings=settings(max_examples=100, stateful_step_count=25, deadline=None),
    )


def test_a_body_that_finds_no_room_gets_503_and_whole_requests_go_on(
    service: Service, loan: dict[str, Any]
) -> None:
    body = json.dumps(loan).encode()
    request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    service.bodies = Total(len(body))
    with serving(service) as port:
        with opened(port, request[:-10]) as first, opened(port, request[:-200]) as second:
            status, told, answer = answered(second)
            assert (status, told["code"], answer.headers["retry-after"]) == (503, "shed", "1")
            assert scored(port, loan), "a request that arrives whole holds nothing"
            first.sendall(request[-10:])
            assert answered(first)[0] == 200
        with opened(port, request[:-10]) as third:
            time.sleep(0.1)
            third.sendall(request[-10:])
            assert answered(third)[0] == 200, "there is room again"
    assert service.bodies.taken == 0
    assert sample(service, "inference_error_total", reason="shed") == 1
