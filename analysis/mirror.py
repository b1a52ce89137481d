"""Mirrored requests: each is asked of both releases at once, and the two answers are a pair."""

import asyncio
import json
import math
import random
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
from aiohttp import web

from analysis.evidence import Pairs

BODY_BYTES = 256 << 10
WAITING = 64
"""Requests in the queue; those that find it full are left out, as are those after `MOST` pairs."""
MOST = 20_000
_ASKING = 8
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_BODY_SECONDS = 5
_ANSWER_BYTES = 1 << 20
_VERSION = re.compile(r"/versions/[^/]+")

Kind = Literal["answered", "refused", "failed"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one release made of a request; `scores` when it answered with probabilities."""

    kind: Kind
    seconds: float
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Request:
    path: str
    body: bytes
    media: str


class Mirror:
    """Takes mirrored requests in, and keeps the pairs."""

    def __init__(self, session: aiohttp.ClientSession, stable: str, canary: str) -> None:
        self._session = session
        self._urls = (stable.rstrip("/"), canary.rstrip("/"))
        self._waiting: asyncio.Queue[_Request] = asyncio.Queue(WAITING)
        self._asked = self._stable_failed = self._canary_failed = 0
        self._scores: list[tuple[float, float]] = []
        self._seconds: list[tuple[float, float]] = []
        self.dropped = 0

    def application(self) -> web.Application:
        """The server: any POST is taken, and answered before it is asked of anybody."""
        application = web.Application(client_max_size=BODY_BYTES)
        application.router.add_post("/{path:.*}", self._take)
        application.router.add_get("/{path:.*}", _alive)
        return application

    async def ask(self) -> None:
        """Ask what comes, some at a time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_ASKING):
                group.create_task(self._ask())

    @property
    def pairs(self) -> Pairs:
        return Pairs(
            asked=self._asked,
            stable_failed=self._stable_failed,
            canary_failed=self._canary_failed,
            stable=tuple(pair[0] for pair in self._scores),
            canary=tuple(pair[1] for pair in self._scores),
            stable_seconds=tuple(pair[0] for pair in self._seconds),
            canary_seconds=tuple(pair[1] for pair in self._seconds),
        )

    def add(self, stable: Answer, canary: Answer) -> None:
        """Take a pair in; one that both refuse tells nothing of either."""
        if stable.kind == canary.kind == "refused":
            return
        self._asked += 1
        both = stable.kind == canary.kind == "answered"
        self._stable_failed += stable.kind != "answered"
        # Another number of answers than the stable's, with 200 before it, is no answer.
        unlike = both and len(stable.scores) != len(canary.scores)
        self._canary_failed += canary.kind != "answered" or unlike
        if both and not unlike:
            row = random.randrange(len(stable.scores))  # noqa: S311
            self._scores.append((stable.scores[row], canary.scores[row]))
            self._seconds.append((stable.seconds, canary.seconds))

    async def _take(self, request: web.Request) -> web.Response:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await request.read()
        # A path that names the stable's version is one that only the stable knows.
        path = _VERSION.sub("", request.raw_path, count=1)
        media = request.headers.get("content-type", "application/json")
        if self._asked >= MOST or self._waiting.full():
            self.dropped += 1
        else:
            self._waiting.put_nowait(_Request(path=path, body=body, media=media))
        return web.Response(status=202)

    async def _ask(self) -> None:
        while True:
            request = await self._waiting.get()
            name = f"mirror-{uuid.uuid4().hex}"
            # Whoever is asked first is a little ahead of the other.
            order = (0, 1) if random.random() < 0.5 else (1, 0)  # noqa: S311
            answers = await asyncio.gather(
                *(self._send(self._urls[place], request, name) for place in order)
            )
            found = dict(zip(order, answers, strict=True))
            self.add(found[0], found[1])

    async def _send(self, url: str, request: _Request, name: str) -> Answer:
        begun = time.perf_counter()
        kind: Kind = "failed"
        scores: tuple[float, ...] = ()
        try:
            async with self._session.post(
                url + request.path,
                data=request.body,
                headers={"content-type": request.media, "x-request-id": name},
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                body = await answer.content.read(_ANSWER_BYTES)
                if answer.status == 200 and answer.content.at_eof():
                    scores = scores_of(body)
                    kind = "answered" if scores else "failed"
                elif 400 <= answer.status < 500:
                    kind = "refused"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            pass
        return Answer(kind=kind, seconds=time.perf_counter() - begun, scores=scores)


def scores_of(body: bytes) -> tuple[float, ...]:
    """The probabilities of an answer in any of the server's forms; empty when there are none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    found = _found(document)
    values = found if isinstance(found, list) else [found]
    sound = all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        and 0 <= value <= 1
        for value in values
    )  # fmt: skip
    return tuple(float(value) for value in values) if sound else ()


def _found(document: Any) -> Any:  # noqa: ANN401 - whatever came
    if not isinstance(document, dict):
        return None
    for form in ("probability", "probabilities", "predictions"):
        if form in document:
            return document[form]
    outputs = document.get("outputs")
    if isinstance(outputs, list) and outputs and isinstance(outputs[0], dict):
        return outputs[0].get("data")
    return None


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="judging\n")
