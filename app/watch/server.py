"""The watch's HTTP side: outcomes are posted to it, metrics and health are read from it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from app.serving import logs
from app.watch import outcomes
from app.watch.memory import Memory
from app.watch.metrics import CONTENT_TYPE, Metrics
from app.watch.objects import BaseError
from app.watch.outcomes import Contradiction, Invalid

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_BYTES = 1 << 20
"""Of a body: MOST outcomes with long ids are less."""
RECEIVE_SECONDS = 10.0

_JSON = b"application/json"
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(dict[str, Any] | list[Any])


class _Refused(Exception):
    """A request that is answered with an error of this status, code and text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        self.status = status
        self.code = code
        super().__init__(text)


class App:
    """`POST /outcomes`, `/metrics`, `/healthz` and `/readyz` as an ASGI application.

    `alive` says whether the watch still works; it is asked at each `/healthz`.
    """

    def __init__(self, memory: Memory, metrics: Metrics, alive: Callable[[], bool]) -> None:
        self._memory = memory
        self._metrics = metrics
        self._alive = alive
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        media, more = _JSON, []
        try:
            status, content, media = await self._answer(scope, receive)
        except _Refused as error:
            status, content = error.status, _error(error.code, str(error))
            more = [(b"connection", b"close")] if status in (408, 413) else []
            if status == 503:
                more = [(b"retry-after", b"5")]
        except Contradiction as error:
            status, content = 409, _error("known", str(error), error)
        except Invalid as error:
            status, content = 422, _error("invalid", str(error), error)
        except BaseError as error:
            logs.write("outcomes not written", error=str(error)[:200])
            status, content = 503, _error("bucket", "the bucket does not take them; try again")
            more = [(b"retry-after", b"5")]
        headers = [(b"content-type", media), (b"content-length", b"%d" % len(content)), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, scope: Message, receive: Receive) -> tuple[int, bytes, bytes]:
        match scope["method"], scope["path"]:
            case "POST", "/outcomes":
                return 200, await self._take(await _body(receive)), _JSON
            case "GET" | "HEAD", "/metrics":
                return 200, self._metrics.render(), CONTENT_TYPE
            case "GET" | "HEAD", "/healthz":
                alive = self._alive()
                return 200 if alive else 503, _encode({"alive": alive}), _JSON
            case "GET" | "HEAD", "/readyz":
                ready = self._memory.ready
                return 200 if ready else 503, _encode({"ready": ready}), _JSON
            case _, "/outcomes" | "/metrics" | "/healthz" | "/readyz":
                raise _Refused(405, "method", "this route has another method")
            case _:
                raise _Refused(404, "route", "there are /outcomes, /metrics, /healthz and /readyz")

    async def _take(self, body: bytes) -> bytes:
        try:
            given = _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _Refused(400, "json", f"no outcome, and no list of them: {error}") from error
        items = given if isinstance(given, list) else [given]
        if not 1 <= len(items) <= outcomes.MOST:
            raise _Refused(
                413, "too_many", f"{len(items)} outcomes; wanted are 1 to {outcomes.MOST}"
            )
        if not self._memory.ready:
            raise _Refused(503, "loading", "the known outcomes are still being read; try again")
        now = time.time()
        found = outcomes.check(items, now)
        # One after the other: whether an outcome is the first is known once the last is written.
        async with self._turn:
            new = await asyncio.to_thread(self._memory.take, found, now)
        return _encode({"new": new, "known": len(found) - new})


async def _body(receive: Receive) -> bytes:
    chunks, size = [], 0
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            while (message := await receive())["type"] == "http.request":
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > MOST_BYTES:
                    raise _Refused(413, "too_large", f"a body has at most {MOST_BYTES} bytes")
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError as error:
        text = f"the body took more than {RECEIVE_SECONDS:g} s"
        raise _Refused(408, "timeout", text) from error
    raise _Refused(400, "gone", "the client has gone")


def _error(code: str, text: str, found: Invalid | None = None) -> bytes:
    return _encode({"error": text, "code": code, "problems": found.problems if found else ()})
