"""The edge: an ASGI application with bounds on size and time, ids, error answers, the log line."""

import itertools
import os
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from app.serving import logs
from app.serving.service import Rejected, Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
LATE = "ferry.late"
"""In a request's scope once the time to receive it is up."""
ARRIVED = "ferry.arrived"
"""In a request's scope once it is whole: when that was, and how many were being answered then."""
_READ = "ferry.read"
"""In the scope of a request that is refused although nothing of it is left to read."""

_BODILESS = ("GET", "HEAD")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ids = map(f"{os.urandom(6).hex()}-{{:x}}".format, itertools.count(1))
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What clients may ask of the server; slow ones cost only what they have sent."""

    body_bytes: int = 1 << 20
    head_bytes: int = 32 << 10
    buffered_bytes: int = 32 << 20
    """Of all bodies that are still arriving."""
    dropped_bytes: int = 64 << 20
    """Of a refused body, read so that its sender gets to see the answer."""
    receive_seconds: float = 10.0
    """From the first byte of a request to its last."""
    idle_seconds: float = 120.0
    """Between two requests; longer than a proxy in front keeps a connection, so that it closes."""
    connections: int = 1024
    wait_seconds: float = 0.025
    """How long a request may wait for its turn when more than `waiting` others are before it."""
    waiting: int = 128


@dataclass(frozen=True)
class Page:
    """The answer to a GET."""

    content: bytes
    status: int = 200
    media: bytes = JSON


class Ask(Protocol):
    """From a body and the request's id to the JSON of an answer; may raise `Rejected`."""

    __name__: str

    async def __call__(self, service: Service, body: bytes, request_id: str, /) -> bytes: ...


Tell = Callable[[Service], Page]


class App:
    """Answers requests by exact path: `tells` the GETs, `asks` the POSTs."""

    def __init__(
        self,
        service: Service,
        bounds: Bounds,
        tells: Mapping[str, Tell],
        asks: Mapping[str, Ask],
    ) -> None:
        self.service = service
        self.bounds = bounds
        self._tells = tells
        self._asks = asks
        self._buffered = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        method: str = scope["method"]
        whole = method in _BODILESS
        route = "none"
        headers = [(b"content-type", JSON)]
        given, *declared = _read(scope["headers"])
        request_id = request_id_of(given)
        try:
            if whole:
                page = self._tell(scope["path"])(self.service)
                status, content = page.status, page.content
                headers = [(b"content-type", page.media)]
            else:
                ask = self._ask(method, scope["path"])
                route = ask.__name__
                body = await self._body(scope, receive, *declared)
                if body is None:
                    return
                whole = True
                arrived, beside = scope.get(ARRIVED, (begun, 0))
                if beside > self.bounds.waiting:
                    self._shed(time.perf_counter() - arrived)
                status, content = 200, await ask(self.service, body, request_id)
                self.service.metrics.latency.observe(time.perf_counter() - arrived)
        except Rejected as error:
            whole = whole or _READ in scope
            status = error.status
            if method not in _BODILESS:
                self.service.metrics.error(error.code)
            content = rejection(request_id, error)
            headers += self._about(status, scope["path"])
        except Exception as error:  # the last resort: a bug is answered as JSON too
            status = 500
            self.service.metrics.error("internal")
            logs.write("bug", id=request_id, where=traceback.format_tb(error.__traceback__)[-1])
            text = "the server failed; the request id is in its log"
            content = rejection(request_id, Rejected(500, "internal", text))
        headers.append((b"content-length", b"%d" % len(content)))
        headers.append((b"x-request-id", request_id.encode()))
        if not whole or self.service.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content, "more_body": not whole})
        if method not in _BODILESS:
            # The route's name, not the path: a path is the client's to choose.
            ms = round((time.perf_counter() - begun) * 1000, 3)
            logs.later("request", id=request_id, route=route, status=status, ms=ms)
        if not whole:
            await self._drop(scope, receive)
            await send({"type": "http.response.body", "body": b""})

    def _tell(self, path: str) -> Tell:
        tell = self._tells.get(path)
        if tell is None:
            raise self._no_route(path in self._asks)
        return tell

    def _ask(self, method: str, path: str) -> Ask:
        ask = self._asks.get(path) if method == "POST" else None
        if ask is None:
            raise self._no_route(path in self._tells or path in self._asks)
        return ask

    def _no_route(self, elsewise: bool) -> Rejected:
        if elsewise:
            return Rejected(405, "method", "this route has another method; see /openapi.json")
        return Rejected(404, "route", "no such route; /openapi.json lists them all")

    def _about(self, status: int, path: str) -> list[tuple[bytes, bytes]]:
        if status == 503:
            return [(b"retry-after", b"1")]
        if status == 405:
            return [(b"allow", b"POST" if path in self._asks else b"GET, HEAD")]
        return []

    def _shed(self, waited: float) -> None:
        if waited > self.bounds.wait_seconds:
            text = f"no turn within {self.bounds.wait_seconds:g} s; ask again in a second"
            raise Rejected(503, "shed", text)

    async def _body(
        self, scope: Message, receive: Receive, length: bytes, encoding: bytes, upgrade: bytes
    ) -> bytes | None:
        """The whole body, or None when the client has gone."""
        if upgrade:
            raise Rejected(400, "http", "there is no other protocol to upgrade to; leave it out")
        if encoding != b"identity":
            raise Rejected(415, "encoding", "compressed bodies are not accepted")
        if length.isdigit() and int(length[:20]) > self.bounds.body_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            while (message := await receive())["type"] == "http.request":
                chunk: bytes = message.get("body", b"")
                ends = not message.get("more_body", False)
                if ends and not chunks and len(chunk) <= self.bounds.body_bytes:
                    return chunk
                chunks.append(chunk)
                size += len(chunk)
                self._buffered += len(chunk)
                if ends:
                    scope[_READ] = True
                if size > self.bounds.body_bytes:
                    raise self._too_large()
                if self._buffered > self.bounds.buffered_bytes:
                    raise Rejected(503, "shed", "too many bodies are arriving; ask again soon")
                if ends:
                    return b"".join(chunks)
                if LATE in scope:
                    seconds = self.bounds.receive_seconds
                    raise Rejected(408, "timeout", f"the request took more than {seconds:g} s")
            return None
        finally:
            self._buffered -= size

    async def _drop(self, scope: Message, receive: Receive) -> None:
        dropped = 0
        while dropped < self.bounds.dropped_bytes and LATE not in scope:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
            dropped += len(message.get("body", b""))

    def _too_large(self) -> Rejected:
        return Rejected(413, "too_large", f"a body has at most {self.bounds.body_bytes} bytes")


def rejection(request_id: str, error: Rejected) -> bytes:
    """The error as JSON; `error` alone satisfies the Open Inference Protocol."""
    body = {
        "error": str(error),
        "code": error.code,
        "problems": error.problems,
        "requestId": request_id,
    }
    return _encode(body)


def request_id_of(given: bytes = b"") -> str:
    """The id that a request brought, where it may be one, or else a new one."""
    return given.decode() if _REQUEST_ID.fullmatch(given) else next(_ids)


def _read(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bytes, bytes]:
    """Request id, declared length and encoding of the body, and the protocol wished for."""
    request_id, length, encoding, upgrade = b"", b"0", b"identity", b""
    for name, value in headers:
        if name == b"x-request-id":
            request_id = value
        elif name == b"content-length":
            length = value
        elif name == b"content-encoding":
            encoding = value
        elif name == b"upgrade":
            upgrade = value
    return request_id, length, encoding, upgrade
