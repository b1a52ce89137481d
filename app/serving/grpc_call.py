"""A gRPC call as an ASGI application: read within the bounds, answered, ended with a status."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from app.serving import grpc_wire, logs, replies
from app.serving.grpc_answer import Answer, Send, no_grpc
from app.serving.grpc_wire import Code
from app.serving.service import Rejected, Service

_SMALL_BYTES = 8 << 10
"""Of each message, not counted: a client of few rows is served however many bodies arrive."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Read = Callable[[float], Awaitable[bytes | None]]
"""Waits some seconds for the client's next message: None when there is no more, TimeoutError when
none came, ConnectionError when the client has gone."""
Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What clients may ask of the server, as over REST; how many may wait, `Service` says."""

    message_bytes: int = 1 << 20
    receive_seconds: float = 10.0
    streams: int = 64
    """Streaming calls at once: health watchers and reflection."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One message in, one out. Predictions are shed when too many wait, and have a log line."""

    name: str
    answer: Callable[[bytes, str], bytes]
    """Of a request and its id; raises `Rejected`."""
    prediction: bool = False


Stream = Callable[[Read, Write], Awaitable[None]]
"""A streaming method: it reads and writes messages until either side has had enough."""


class Calls:
    """The ASGI application over all methods, by path."""

    def __init__(
        self,
        service: Service,
        bounds: Bounds,
        methods: Mapping[str, Method],
        streams: Mapping[str, Stream],
    ) -> None:
        self._service = service
        self._bounds = bounds
        self._methods = methods
        self._streams = streams
        self._open_streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if scope["method"] != "POST" or not headers.get(b"content-type", b"").startswith(
            b"application/grpc"
        ):
            await no_grpc(send)
            return
        request_id = replies.request_id_of(headers.get(b"x-request-id", b"")).encode()
        call = Answer(send, request_id, headers.get(b"content-type", b""))
        try:
            await self._dispatch(scope["path"], headers, receive, call)
        except ConnectionError:
            return  # the client has gone, and hears nothing any more
        except Rejected as error:
            self._service.metrics.error(error.code)
            details = grpc_wire.details(error, request_id.decode())
            await call.fail(grpc_wire.code(error), str(error), details)
        except Exception as error:  # the last resort: a bug ends the call with a status too
            where = traceback.format_tb(error.__traceback__)[-1]
            logs.write("bug", id=request_id.decode(), where=where)
            self._service.metrics.error("internal")
            text = "the server failed; the request id is in its log"
            await call.fail(Code.INTERNAL, text)

    async def _dispatch(
        self, path: str, headers: dict[bytes, bytes], receive: Receive, call: Answer
    ) -> None:
        if headers.get(b"grpc-encoding", b"identity") != b"identity":
            raise Rejected(415, "encoding", "compressed messages are not accepted")
        method = self._methods.get(path)
        if method is not None:
            await self._unary(method, headers.get(b"grpc-timeout"), receive, call)
        elif path in self._streams:
            await self._stream(self._streams[path], receive, call)
        else:
            raise Rejected(404, "route", "no such method; server reflection lists them all")

    async def _unary(
        self, method: Method, timeout: bytes | None, receive: Receive, call: Answer
    ) -> None:
        begun = time.perf_counter()
        given = grpc_wire.seconds(timeout) if timeout else self._bounds.receive_seconds
        body = await self._body(receive, min(given, self._bounds.receive_seconds))
        if not method.prediction:
            await call.answer(method.answer(grpc_wire.only(body), call.request_id.decode()))
            return
        self._service.enter()
        try:
            # Whatever else has arrived by now is counted before this one keeps the loop busy.
            await asyncio.sleep(0)
            if timeout and time.perf_counter() - begun > given:
                raise Rejected(408, "deadline", f"the client's {given:g} s are over")
            await call.answer(method.answer(grpc_wire.only(body), call.request_id.decode()))
        finally:
            self._service.leave()
            logs.later(
                "request",
                id=call.request_id.decode(),
                route=method.name,
                status=call.code.name,
                ms=round((time.perf_counter() - begun) * 1000, 3),
            )

    async def _body(self, receive: Receive, seconds: float) -> bytes:
        """The whole body of a request."""
        # That nothing at all arrives is bounded in h2corn; a timer for each call is not cheap.
        first = await receive()
        if first["type"] != "http.request":
            raise ConnectionError
        body = first.get("body", b"")
        self._check_size(len(body))
        if not first.get("more_body", False):
            return body
        chunks = bytearray(body)
        counted = 0
        del body, first
        share = self._service.bodies.share()
        try:
            async with asyncio.timeout(seconds):
                while share.take(more := max(len(chunks) - _SMALL_BYTES, 0) - counted):
                    counted += more
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ConnectionError
                    chunks += message.pop("body", b"")  # held once
                    self._check_size(len(chunks))
                    if not message.get("more_body", False):
                        return bytes(chunks)
                raise Rejected(503, "shed", "too many bodies are arriving; ask again soon")
        except TimeoutError as error:
            text = f"the message took more than {seconds:g} s to arrive"
            raise Rejected(408, "timeout", text) from error
        finally:
            share.give_back()

    def _check_size(self, size: int) -> None:
        if size > self._bounds.message_bytes + 5:
            text = f"a message has at most {self._bounds.message_bytes} bytes"
            raise Rejected(413, "too_large", text)

    async def _stream(self, method: Stream, receive: Receive, call: Answer) -> None:
        if self._open_streams >= self._bounds.streams:
            raise Rejected(503, "shed", f"{self._open_streams} streams are open already")
        chunks = bytearray()
        more = True

        async def read(seconds: float) -> bytes | None:
            nonlocal more
            while True:
                found = grpc_wire.unframe(chunks)
                if found is not None:
                    del chunks[: found[1]]
                    return found[0]
                # After the last message only the client's going is still to be heard of.
                async with asyncio.timeout(seconds):
                    message = await receive()
                if message["type"] != "http.request":
                    raise ConnectionError
                chunks.extend(message.get("body", b""))
                self._check_size(len(chunks))
                if not message.get("more_body", False) and more:
                    more = False
                    if not chunks:
                        return None

        self._open_streams += 1
        try:
            await method(read, call.write)
            await call.end()
        except TimeoutError as error:
            raise Rejected(408, "timeout", "nothing was asked for too long") from error
        finally:
            self._open_streams -= 1
