"""The answering side of a gRPC call: ASGI messages out of messages and statuses."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.serving import grpc_wire
from app.serving.grpc_wire import Code

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OK = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]}


class Answer:
    """The answering side of one call."""

    def __init__(self, send: Send, request_id: bytes, content_type: bytes) -> None:
        self._send = send
        self._content_type = content_type
        self._started = False
        self.request_id = request_id
        self.code = Code.OK

    async def answer(self, message: bytes) -> None:
        """The whole answer of a unary call."""
        await self._start()
        await self._send({"type": "http.response.body", "body": grpc_wire.frame(message)})
        await self._send(_OK)

    async def write(self, message: bytes) -> None:
        """One message of a stream."""
        await self._start()
        body = grpc_wire.frame(message)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """The end of a stream that went well."""
        await self._start()
        await self._send({"type": "http.response.body", "body": b""})
        await self._send(_OK)

    async def fail(self, code: Code, message: str, details: bytes = b"") -> None:
        """The end of a call that failed."""
        self.code = code
        await self._start()
        await self._send({"type": "http.response.body", "body": b""})
        trailers = grpc_wire.trailers(code, message, details)
        await self._send({"type": "http.response.trailers", "headers": trailers})

    async def _start(self) -> None:
        if self._started:
            return
        self._started = True
        headers = [(b"content-type", self._content_type), (b"x-request-id", self.request_id)]
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": headers, "trailers": True}
        )


async def no_grpc(send: Send) -> None:
    """The answer to a request that is no call of gRPC."""
    body = b"this port speaks gRPC alone\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 415, "headers": headers})
    await send({"type": "http.response.body", "body": body})
