"""A client's connection: the bounds that hold before there is a request, and errors as JSON."""

import asyncio
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.serving import edge, logs
from app.serving.service import Rejected

SWEEP_SECONDS = 0.5


class Connection(HttpToolsProtocol):
    """uvicorn's, with a deadline from a request's first byte to its last, and a bounded head.

    Times are noted, not set as timers, and looked at by `sweep`: a timer for each request costs
    more than its parsing.
    """

    _edge: edge.App

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **kwargs)
        self._since = time.perf_counter()
        """When the request began that is arriving, or the idle time."""
        self._arriving = True
        self._head: int | None = 0
        """Bytes of the head that is arriving."""
        self._blocked: float | None = None
        """Since when the client has not been reading."""
        self._surplus = False
        self._refused = False

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
        if self._head is not None:
            self._head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Answered as if it had not asked; what follows is no HTTP for this parser.
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(Rejected(400, "http", "this is no valid HTTP/1.1 request"))
        else:
            if self._head is not None and self._head > self._edge.bounds.head_bytes:
                bound = self._edge.bounds.head_bytes
                self._refuse(Rejected(431, "too_large", f"a head has at most {bound} bytes"))

    def on_message_begin(self) -> None:
        if not self._arriving:
            self._arriving = True
            self._since = time.perf_counter()
            self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arriving = False
        self._since = now = time.perf_counter()
        self.scope[edge.ARRIVED] = (now, len(self.tasks))  # ty: ignore
        super().on_message_complete()

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
        if self.cycle is not None and not self.cycle.response_complete:
            # An answer is being written, and another in the middle of it would be none.
            self.transport.abort()
            return
        request_id = edge.request_id_of()
        self._edge.service.metrics.error(error.code)
        logs.later("refused", id=request_id, status=error.status, code=error.code)
        content = edge.rejection(request_id, error)
        retry = "retry-after: 1\r\n" if error.status == 503 else ""
        head = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n{retry}"
            f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.write_eof()


def of(app: edge.App) -> type[Connection]:
    """The class of the connections whose requests `app` answers."""

    class Connected(Connection):
        _edge = app

    return Connected


async def sweep(connections: Iterable[Any]) -> None:
    """Look after the connections' deadlines until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = time.perf_counter()
        for connection in list(connections):
            connection.expire(now)
