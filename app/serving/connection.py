"""A client's connection: its bounds in time and size, and the short way to a prediction."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.serving import edge, logs, replies
from app.serving.service import Rejected
from app.serving.turns import Turn, Turns

SWEEP_SECONDS = 0.5


class Connection(HttpToolsProtocol):
    """uvicorn's, with a deadline from a request's first byte to its last, and a bounded head.

    Times are noted, not set as timers, and looked at by `sweep`: a timer for each request costs
    more than its parsing. A prediction whose request arrives whole takes its turn among `Turns`;
    all else is answered by the ASGI application, in a task of its own, as uvicorn does it.
    """

    _edge: edge.App
    _turns: Turns

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **kwargs)
        self._since = time.perf_counter()
        """When the request began that is arriving, or the idle time."""
        self._arriving = True
        self._head: int | None = 0
        """Bytes of the head that is arriving."""
        self._read = 0
        """Bytes that came with the head's end, or more."""
        self._blocked: float | None = None
        """Since when the client has not been reading."""
        self._surplus = False
        self._refused = False
        self._ask: edge.Ask | None = None
        """What is asked, while the request may still take the short way."""
        self._request_id = ""
        self._keep = True
        self._chunks: list[bytes] = []
        self.waits = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        most = self._edge.bounds.connections
        self._surplus = len(self.connections) > most
        if len(self.connections) > 2 * most:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused or self.parser is None:
            return
        if self._surplus:
            # Not before a request is there: it would cross the answer, which is then lost.
            self._refuse(Rejected(503, "shed", "too many connections; ask again in a second"))
            return
        self._read = len(data)
        if self._head is not None:
            self._head += len(data)
            self._read = self._head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Answered as if it had not asked; what follows is no HTTP for this parser.
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            refused = error.__context__
            if not isinstance(refused, Rejected):
                refused = Rejected(400, "http", "this is no valid HTTP/1.1 request")
            self._refuse(refused)
        else:
            if self._ask is not None:
                self._take_the_long_way()  # the rest may take its time
            bounds = self._edge.bounds
            if self._head is not None and (
                self._head > bounds.head_bytes or len(self.headers or ()) > bounds.fields
            ):
                self._refuse(bounds.large_head())

    def on_message_begin(self) -> None:
        if not self._arriving:
            self._arriving = True
            self._since = time.perf_counter()
            self._head = 0
        # uvicorn's fields, without its scope.
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._chunks = []

    def on_headers_complete(self) -> None:
        bounds = self._edge.bounds
        bounds.check_head(self._read, self.url, self.headers)
        if len(self.pipeline) >= bounds.pipelined:
            raise Rejected(503, "shed", "too many requests at once on one connection")
        self._head = None
        self._ask = self._edge.asks.get(self.url)
        if self._ask is None or not self._may_be_short():
            self._take_the_long_way()

    def _may_be_short(self) -> bool:
        parser = self.parser
        if (
            parser is None
            or parser.get_method() != b"POST"
            or parser.should_upgrade()
            or self._blocked is not None
            or (self.cycle is not None and not self.cycle.response_complete)
        ):
            return False
        given, _, encoding, upgrade = edge.read(self.headers)
        self._request_id = replies.request_id_of(given)
        self._keep = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        return encoding == b"identity" and not upgrade

    def _take_the_long_way(self) -> None:
        """Begin, or go on with, the request as an ASGI request."""
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.headers[:] = headers
        self.scope[edge.SHARE] = self._edge.service.bodies.share()  # ty: ignore
        super().on_headers_complete()
        self._ask = None
        if self._chunks:
            body, self._chunks = b"".join(self._chunks), []
            self.on_body(body)

    def on_body(self, body: bytes) -> None:
        if self._ask is not None:
            self._chunks.append(body)
        else:
            kept = self.scope[edge.SHARE].take(len(body))  # ty: ignore
            super().on_body(body if kept else b"")

    def on_message_complete(self) -> None:
        self._arriving = False
        self._since = now = time.perf_counter()
        ask = self._ask
        if ask is not None:
            turn = Turn(self, ask.__name__, self._request_id, keep=self._keep)
            if self._turns.take(turn, ask, b"".join(self._chunks)):
                self._ask = None
                self._chunks = []
                return
            self._take_the_long_way()
        self.scope[edge.ARRIVED] = now  # ty: ignore
        super().on_message_complete()

    def reply(self, status: int, content: bytes, request_id: str, *, keep: bool) -> None:
        """Write a whole answer; not `keep`: close after it."""
        headers = self.server_state.default_headers
        self.transport.write(replies.whole(status, content, request_id, headers, keep=keep))
        self.server_state.total_requests += 1
        if not keep:
            self.transport.close()

    def gone(self) -> bool:
        """Whether an answer would reach nobody."""
        return self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for cycle, _ in self.pipeline:  # which will never begin, and so not end
            cycle.scope[edge.SHARE].give_back()  # ty: ignore
        self.pipeline.clear()

    def shutdown(self) -> None:
        self._turns.answer()
        super().shutdown()

    def on_response_complete(self) -> None:
        # As uvicorn's, without its timer for idle connections.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._arriving:
            self._since = time.perf_counter()

    def pause_writing(self) -> None:
        self._blocked = time.perf_counter()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._blocked = None
        super().resume_writing()

    def expire(self, now: float) -> None:
        """End what has taken too long: a request, an idle time, a client that does not read."""
        bounds = self._edge.bounds
        waited = now - self._since
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._blocked is not None:
            if now - self._blocked > bounds.receive_seconds:
                self.transport.abort()
        elif not self._arriving:
            if not answering and waited > bounds.idle_seconds:
                self.transport.close()
        elif waited > bounds.receive_seconds:
            self._late(answering)

    def _late(self, answering: bool) -> None:
        if self._refused or self._surplus or self._head == 0 or edge.LATE in (self.scope or ()):
            self.transport.abort()
        elif self._head is None and answering:
            # The application answers: it knows the request's id.
            self.scope[edge.LATE] = True  # ty: ignore
            self.cycle.message_event.set()
        else:
            seconds = self._edge.bounds.receive_seconds
            self._refuse(Rejected(408, "timeout", f"the request took more than {seconds:g} s"))

    def _refuse(self, error: Rejected) -> None:
        """Answer in place of the application, then read on until the client has seen it."""
        self._refused = True
        self._arriving = True
        self._since = time.perf_counter() - self._edge.bounds.receive_seconds + 1
        self._ask = None
        self.headers, self._chunks = [], []
        if self.waits:
            self._turns.answer()  # what came before it
        if self.cycle is not None and not self.cycle.response_complete:
            # An answer is being written, and another in the middle of it would be none.
            self.transport.abort()
            return
        request_id = replies.request_id_of()
        self._edge.service.metrics.error(error.code)
        logs.later("refused", id=request_id, status=error.status, code=error.code)
        content = replies.rejection(request_id, error)
        headers = self.server_state.default_headers
        self.transport.write(replies.whole(error.status, content, request_id, headers, keep=False))
        self.transport.write_eof()


def of(app: edge.App) -> type[Connection]:
    """The class of the connections whose requests `app` answers."""

    class Connected(Connection):
        _edge = app
        _turns = Turns(app)

    return Connected


async def sweep(connections: Iterable[Any]) -> None:
    """Look after the connections' deadlines until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = time.perf_counter()
        for connection in list(connections):
            connection.expire(now)
