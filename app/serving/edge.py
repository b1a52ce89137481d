"""The edge: bounds on size, time and concurrency around every request, its id, its log line."""

import asyncio
import os
import re
import time
import traceback
from dataclasses import dataclass

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.serving import logs
from app.serving.service import Rejected, Service

_BODILESS = ("GET", "HEAD")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What clients may ask of the server; slow ones cost only what they have sent."""

    body_bytes: int = 1 << 20
    receive_seconds: float = 10.0
    buffered_bytes: int = 32 << 20
    """Of all bodies that are still arriving."""
    waiting: int = 256
    """Requests that have arrived and are not answered yet."""


class Edge:
    """ASGI middleware: hands on requests whose whole body has arrived within the bounds."""

    def __init__(self, app: ASGIApp, service: Service, bounds: Bounds) -> None:
        self._app = app
        self._service = service
        self._bounds = bounds
        self._waiting = 0
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        request_id = scope["ferry.id"] = _request_id(Headers(scope=scope))
        status = 0
        close = False

        async def sender(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
                if close or self._service.draining:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self._within_bounds(scope, receive, sender)
        except Rejected as error:
            # The rest of the body is not read, so the connection cannot be used again.
            close = True
            await rejection(self._service, request_id, error)(scope, receive, sender)
        except Exception as error:  # the last resort: a bug is answered as JSON too
            logs.write("bug", id=request_id, where=traceback.format_tb(error.__traceback__)[-1])
            if status:
                raise
            fault = Rejected(500, "internal", "the server failed; the request id is in its log")
            await rejection(self._service, request_id, fault)(scope, receive, sender)
        if scope["method"] not in _BODILESS:
            # The route's name, not the path: a path is the client's to choose.
            logs.write(
                "request",
                id=request_id,
                route=getattr(scope.get("endpoint"), "__name__", "none"),
                status=status,
                ms=round((time.perf_counter() - begun) * 1000, 3),
            )

    async def _within_bounds(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in _BODILESS:
            # Probes and metrics must answer when predictions are shed.
            await self._app(scope, _replay(b""), send)
            return
        body = await self._body(Headers(scope=scope), receive)
        if body is None:
            return
        if self._waiting >= self._bounds.waiting:
            text = f"{self._waiting} requests are waiting for an answer; ask again in a second"
            raise Rejected(503, "shed", text)
        self._waiting += 1
        try:
            # Whatever else has arrived by now is counted before this one keeps the loop busy.
            await asyncio.sleep(0)
            await self._app(scope, _replay(body), send)
        finally:
            self._waiting -= 1

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body, or None when the client has gone."""
        if headers.get("content-encoding", "identity") != "identity":
            raise Rejected(415, "encoding", "compressed bodies are not accepted")
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > self._bounds.body_bytes:
            raise self._too_large()
        chunks = bytearray()
        try:
            async with asyncio.timeout(self._bounds.receive_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    chunk = message.get("body", b"")
                    chunks += chunk
                    self._buffered += len(chunk)
                    if len(chunks) > self._bounds.body_bytes:
                        raise self._too_large()
                    if self._buffered > self._bounds.buffered_bytes:
                        raise Rejected(503, "shed", "too many bodies are arriving; ask again soon")
                    if not message.get("more_body", False):
                        return bytes(chunks)
        except TimeoutError as error:
            seconds = self._bounds.receive_seconds
            text = f"the body took more than {seconds:g} s to arrive"
            raise Rejected(408, "timeout", text) from error
        finally:
            self._buffered -= len(chunks)

    def _too_large(self) -> Rejected:
        return Rejected(413, "too_large", f"a body has at most {self._bounds.body_bytes} bytes")


def rejection(service: Service, request_id: str, error: Rejected) -> Response:
    """The error as a response, and counted; `error` alone satisfies the Open Inference Protocol."""
    service.metrics.error(error.code)
    body = {
        "error": str(error),
        "code": error.code,
        "problems": error.problems,
        "requestId": request_id,
    }
    headers = {"retry-after": "1"} if error.status == 503 else None
    return Response(msgspec.json.encode(body), error.status, headers, "application/json")


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
