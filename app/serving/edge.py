"""The edge: an ASGI application with bounds on size and time, ids, error answers, the log line."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.serving import inference, logs, replies
from app.serving.bounds import Bounds
from app.serving.inference import Question
from app.serving.service import Rejected, Service
from app.serving.share import Share

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
LATE = "ferry.late"
"""In a request's scope once the time to receive it is up."""
ARRIVED = "ferry.arrived"
"""In a request's scope once it is whole: when that was."""
SHARE = "ferry.share"
"""In a request's scope: the `Share` that its body takes, while it arrives."""
_READ = "ferry.read"
"""In a request's scope once nothing of it is left to read."""

_BODILESS = ("GET", "HEAD")


@dataclass(frozen=True)
class Page:
    """The answer to a GET."""

    content: bytes
    status: int = 200
    media: bytes = JSON


class Ask(Protocol):
    """What a body asks of the model, at once or awaited; may raise `Rejected`."""

    __name__: str

    def __call__(
        self, service: Service, body: bytes, /
    ) -> Question | Coroutine[Any, Any, Question]: ...


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
        self.asks = {path.encode(): ask for path, ask in asks.items()}
        """By what a client sends as the path."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        share = scope.get(SHARE) or self.service.bodies.share()
        try:
            await self._serve(scope, receive, send, share)
        finally:
            share.give_back()

    async def _serve(self, scope: Message, receive: Receive, send: Send, share: Share) -> None:
        begun = time.perf_counter()
        method: str = scope["method"]
        route = "none"
        headers = [(b"content-type", JSON)]
        given, *declared = read(scope["headers"])
        request_id = replies.request_id_of(given)
        try:
            if method in _BODILESS:
                page = self._tell(scope["path"])(self.service)
                status, content = page.status, page.content
                headers = [(b"content-type", page.media)]
            else:
                ask = self._ask(method, scope["path"])
                route = ask.__name__
                body = self._body(scope, receive, share, *declared)
                answer = await self._answer(ask, body, request_id)
                if answer is None:
                    return
                status, content = 200, answer
                self.service.metrics.latency.observe(
                    time.perf_counter() - scope.get(ARRIVED, begun)
                )
        except Rejected as error:
            status = error.status
            if method not in _BODILESS:
                self.service.metrics.error(error.code)
            content = replies.rejection(request_id, error)
            headers += self._about(status, scope["path"])
        except Exception as error:  # the last resort: a bug is answered as JSON too
            status = 500
            self.service.metrics.error("internal")
            content = replies.rejection(request_id, replies.bug(request_id, error))
        whole = method in _BODILESS or _READ in scope
        share.give_back()
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
            await self._drop(scope, receive, share)
            await send({"type": "http.response.body", "body": b""})

    async def _answer(
        self, ask: Ask, arriving: Awaitable[bytes | None], request_id: str
    ) -> bytes | None:
        """The answer to a body, or None when the client has gone before its end."""
        body = await arriving
        if body is None:
            return None
        self.service.enter()
        try:
            # Whatever else has arrived by now is counted before this one keeps the loop busy.
            await asyncio.sleep(0)
            found = ask(self.service, body)
            asked = found if isinstance(found, Question) else await found
            return inference.answers(self.service, [(asked, request_id)])[0]
        finally:
            self.service.leave()

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

    async def _body(
        self,
        scope: Message,
        receive: Receive,
        share: Share,
        length: bytes,
        encoding: bytes,
        upgrade: bytes,
    ) -> bytes | None:
        """The whole body, or None when the client has gone."""
        if upgrade:
            raise Rejected(400, "http", "there is no other protocol to upgrade to; leave it out")
        if encoding != b"identity":
            raise Rejected(415, "encoding", "compressed bodies are not accepted")
        if length.isdigit() and int(length[:20]) > self.bounds.body_bytes:
            raise replies.too_large(self.bounds.body_bytes)
        body = bytearray()
        while (message := await receive())["type"] == "http.request":
            body += message.pop("body", b"")  # or it would be held twice until the next comes
            ends = not message.get("more_body", False)
            if ends:
                scope[_READ] = True
            if len(body) > self.bounds.body_bytes:
                raise replies.too_large(self.bounds.body_bytes)
            if share.full:
                raise Rejected(503, "shed", "too many bodies are arriving; ask again soon")
            if ends:
                return bytes(body)
            if LATE in scope:
                seconds = self.bounds.receive_seconds
                raise Rejected(408, "timeout", f"the request took more than {seconds:g} s")
        return None

    async def _drop(self, scope: Message, receive: Receive, share: Share) -> None:
        while share.dropped < self.bounds.dropped_bytes and LATE not in scope:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return


def read(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bytes, bytes]:
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
