"""The process: ticks on a thread, HTTP on the event loop, and an end within two seconds."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Generator

import uvicorn

from app.serving import logs
from app.watch.metrics import Metrics
from app.watch.server import App
from app.watch.tick import Watch

PORT = 8080
_STALLED_SECONDS = 300.0
"""Longer than any step takes, each of whose calls has a timeout."""
_END_SECONDS = 1.0


class Ticker:
    """A thread that ticks until it is stopped."""

    def __init__(self, watch: Watch, metrics: Metrics, seconds: float) -> None:
        self._watch = watch
        self._metrics = metrics
        self._seconds = seconds
        self._stop = threading.Event()
        # A daemon: a call of the bucket's may outlast the end, and nothing is lost with it.
        self._thread = threading.Thread(target=self._run, name="ticks", daemon=True)

    def start(self) -> None:
        """Begin with a tick."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no other step."""
        self._watch.stopped = True
        self._stop.set()

    def join(self) -> None:
        """Wait for the end of the step that runs, for a second."""
        self._thread.join(_END_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether ticks come, or the one that runs gets anywhere."""
        idle = time.monotonic() - self._watch.progressed
        return self._thread.is_alive() and idle < self._seconds + _STALLED_SECONDS

    def _run(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            found = self._watch.tick(time.time())
            self._metrics.told(found)
            taken = time.monotonic() - begun
            predictions, outcomes = self._watch.memory.size
            logs.write(
                "tick",
                seconds=round(taken, 3),
                predictions=predictions,
                outcomes=outcomes,
                window=found.window.drift.verdict if found.window else None,
                failed=found.failed,
            )
            self._stop.wait(max(self._seconds - taken, 1.0))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # ours are set in `serve`: uvicorn's would exit with the signal's code


async def serve(watch: Watch, metrics: Metrics, seconds: float, port: int) -> None:
    """Watch and answer until SIGTERM or SIGINT. Raises OSError when the port cannot be had."""
    ticker = Ticker(watch, metrics, seconds)
    server = _Server(
        uvicorn.Config(
            App(watch.memory, metrics, lambda: ticker.alive),
            host="0.0.0.0",  # noqa: S104 - a pod's own address
            port=port,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=64,
            timeout_graceful_shutdown=1,
        )
    )

    def stop() -> None:
        ticker.stop()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    ticker.start()
    await server.serve()
    ticker.stop()
    await asyncio.to_thread(ticker.join)
