"""Two small model servers, their traffic, and a Prometheus that answers from their counters."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import aiohttp
from aiohttp import web

from analysis.prometheus import HASH

STABLE, CANARY = "5d4f8c7b9", "6f7d9c8b5"
REASONS = ("internal", "shed", "range", "type")
SCORES = tuple(step / 20 for step in range(1, 21))
LATENCIES = (0.0025, 0.005, 0.01, 0.025, 0.1)

Fault = Callable[[float], "float | None"]
"""From the right answer to the one given; None is an error of the server."""


class Model:
    """A release: answers the probability that it is asked with, unless it has a fault."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault: Fault = fault or (lambda right: right)
        self.counters: dict[tuple[tuple[str, str], ...], int] = {}
        for bounds, name in (
            (LATENCIES, "prediction_latency_seconds"),
            (SCORES, "prediction_score"),
        ):
            for bound in (*map(str, bounds), "+Inf"):
                self.counters[("__name__", f"{name}_bucket"), ("le", bound)] = 0
        for reason in REASONS:
            self.counters[("__name__", "inference_error_total"), ("reason", reason)] = 0
        self.ids: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.ids.append(request.headers.get("x-request-id", ""))
        given = await request.json()
        score = self.fault(given["x"])
        if score is None:
            self.counters[("__name__", "inference_error_total"), ("reason", "internal")] += 1
            return web.json_response({"error": "internal"}, status=500)
        for (_, name), (kind, bound) in self.counters:
            value = score if name == "prediction_score_bucket" else 0.002
            if kind == "le" and value <= float(bound):
                self.counters[("__name__", name), ("le", bound)] += 1
        return web.json_response({"probability": score})


class World:
    """Runs until left; `prometheus` answers queries, and a test may put another in its place."""

    def __init__(self, canary: Model, rate: float = 300) -> None:
        self.models = {STABLE: Model(), CANARY: canary}
        self.rate = rate
        self.prometheus: Callable[[web.Request], Any] = self._series
        self.ports: dict[str, int] = {}
        self.judge = 0
        """Where mirrored requests go, once it is not 0."""
        self._random = random.Random(1)  # noqa: S311
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        runners = []
        handlers = {name: model.answer for name, model in self.models.items()}
        for name, handler in {**handlers, "prometheus": self._query}.items():
            application = web.Application()
            application.router.add_post("/{path:.*}", handler)
            runner = web.AppRunner(application, shutdown_timeout=0)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.ports[name] = runner.addresses[0][1]
            runners.append(runner)
        self._ready.set()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            asked = set()
            while not self._stop.is_set():
                if self.rate:
                    task = asyncio.create_task(self._request(session))
                    asked.add(task)
                    task.add_done_callback(asked.discard)
                await asyncio.sleep(1 / (self.rate or 100))
            await asyncio.gather(*asked)
        for runner in runners:
            await runner.cleanup()

    async def _request(self, session: aiohttp.ClientSession) -> None:
        """Half of the live traffic goes to each release, and a third of it is mirrored."""
        body = {"x": self._random.betavariate(2, 5)}
        ports = [self.ports[self._random.choice((STABLE, CANARY))]]
        if self.judge and self._random.random() < 0.35:
            ports.append(self.judge)
        for port in ports:
            try:
                url = f"http://127.0.0.1:{port}/v2/models/loans/versions/7/infer"
                async with session.post(url, json=body) as answer:
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                pass  # the judge comes and goes

    async def _query(self, request: web.Request) -> web.StreamResponse:
        return await self.prometheus(request)

    async def _series(self, request: web.Request) -> web.Response:
        text = (await request.post())["query"]
        assert isinstance(text, str)
        assert f"{STABLE}|{CANARY}" in text
        now = time.time()
        result = [
            {"metric": {**dict(labels), HASH: name, "pod": name}, "values": [[now, str(value)]]}
            for name, model in self.models.items()
            for labels, value in model.counters.items()
        ]
        data = {"resultType": "matrix", "result": result}
        return web.json_response({"status": "success", "data": data})
