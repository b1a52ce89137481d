"""A sample of the scored rows, written to the bucket for drift detection; never harms serving."""

import gzip
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any

import msgspec
from prometheus_client import Counter

from app.serving import logs, model
from app.serving.service import Service

_MIRRORED = "mirror-"
"""How the ids of requests begin that a release is asked a second time, to be compared."""
_FLUSH_ROWS = 2000
_FLUSH_SECONDS = 60.0
_KEPT_BYTES = 8 << 20
"""Of rows that wait to be written; about 15,000 rows. More are dropped, and counted."""
_TRIES = 5
_FIRST_WAIT_SECONDS = 1.0
_PUT_SECONDS = 10
_CLOSE_SECONDS = 5.0

_encode = msgspec.json.Encoder().encode


Put = Callable[[str, bytes], None]
"""Writes an object under a key; raises what it likes."""


class RequestLog:
    """Rows offered by the event loop, written by a thread: JSON lines, gzip, one object a flush.

    A line has time, request id, the row's place in its request, model, version, the model's own
    features and the score: what else a row has, such as an entity's key, is left out.
    """

    def __init__(self, service: Service, put: Put, rate: float) -> None:
        self._store = put
        self._rate = rate
        self._service = service
        self._prefix = f"requests/{service.name}/{service.version}"
        self._lines: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self._give_up = float("inf")
        labels = {"model": service.name, "version": service.version}
        self._dropped = Counter(
            "request_log_dropped",
            "Sampled rows that did not reach the bucket.",
            tuple(labels),
            registry=service.metrics.registry,
        ).labels(**labels)
        self._writer = threading.Thread(target=self._write, name="request-log", daemon=True)
        self._writer.start()

    def offer(self, request_id: str, rows: list[dict[str, Any]], scores: list[float]) -> None:
        """Take a sample of the rows of a request; never blocks, never raises."""
        if request_id.startswith(_MIRRORED):
            return
        pairs = enumerate(zip(rows, scores, strict=True))
        taken = [(place, *pair) for place, pair in pairs if random.random() < self._rate]  # noqa: S311
        if not taken:
            return
        now = time.time()
        hour = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H")
        names = self._service.loaded().schema.names
        lines = [
            _encode(
                {
                    "time": round(now, 3),
                    "id": request_id,
                    "row": place,
                    "model": self._service.name,
                    "version": self._service.version,
                    "features": {name: row.get(name) for name in names},
                    "score": score,
                }
            )
            for place, row, score in taken
        ]
        size = sum(map(len, lines))
        with self._wake:
            if self._closing or self._bytes + size > _KEPT_BYTES:
                self._dropped.inc(len(lines))
                return
            self._bytes += size
            self._lines.extend((hour, line) for line in lines)
            if len(self._lines) >= _FLUSH_ROWS:
                self._wake.notify()

    def close(self) -> None:
        """Write what is left, for at most some seconds; what is not written then is dropped."""
        with self._wake:
            self._closing = True
            self._give_up = time.monotonic() + _CLOSE_SECONDS
            self._wake.notify()
        self._writer.join(_CLOSE_SECONDS)
        with self._wake:
            self._dropped.inc(len(self._lines))
            self._lines.clear()

    def _write(self) -> None:
        while True:
            with self._wake:
                if not self._closing and len(self._lines) < _FLUSH_ROWS:
                    self._wake.wait(_FLUSH_SECONDS)
                batch = self._batch()
                if not batch and self._closing:
                    return
            if batch:
                self._put(batch)

    def _batch(self) -> list[tuple[str, bytes]]:
        """Takes the oldest rows, of one hour."""
        hour = self._lines[0][0] if self._lines else ""
        first = islice(self._lines, _FLUSH_ROWS)
        batch = list(takewhile(lambda line: line[0] == hour, first))
        for _ in batch:
            self._bytes -= len(self._lines.popleft()[1])
        return batch

    def _put(self, batch: list[tuple[str, bytes]]) -> None:
        # Milliseconds as the number: a container that starts again in its pod goes on after them.
        number = time.time_ns() // 1_000_000
        key = f"{self._prefix}/{batch[0][0]}/{socket.gethostname()}-{number}.jsonl.gz"
        content = gzip.compress(b"\n".join(line for _, line in batch) + b"\n", 6, mtime=0)
        wait = _FIRST_WAIT_SECONDS
        for tried in range(1, _TRIES + 1):
            try:
                self._store(key, content)
                return
            except Exception as error:  # the client's errors have no common base
                logs.write("request log", key=key, tried=tried, error=str(error)[:200])
            with self._wake:
                left = self._give_up - time.monotonic()
                if tried == _TRIES or left <= 0:
                    break
                self._wake.wait_for(lambda: self._closing, min(wait, left))
            wait *= 4
        self._dropped.inc(len(batch))


def start(environment: Mapping[str, str], service: Service) -> RequestLog | None:
    """The request log, or None when REQUEST_LOG_SAMPLE, a share from 0 to 1, is 0 or not set.

    Raises `model.Unfit` for what is no such share, and when FERRY_BUCKET is not set.
    """
    given = environment.get("REQUEST_LOG_SAMPLE") or "0"
    try:
        rate = float(given)
    except ValueError:
        rate = -1.0
    # Written so that NaN is refused too.
    if not 0 <= rate <= 1:
        raise model.Unfit(f"REQUEST_LOG_SAMPLE must be from 0 (off) to 1 (every row), is {given}")
    if rate == 0:
        return None
    if not environment.get("FERRY_BUCKET"):
        raise model.Unfit("REQUEST_LOG_SAMPLE is set, FERRY_BUCKET is not: no bucket to write to")
    return RequestLog(service, _bucket(environment), rate)


def _bucket(environment: Mapping[str, str]) -> Put:
    """The S3 bucket that `ferry exec` and the platform name."""
    # Imported when the log is on; a server without one need not have it in memory.
    from obstore.store import S3Store

    given = {
        "endpoint": environment.get("AWS_ENDPOINT_URL_S3"),
        "region": environment.get("AWS_REGION"),
        "access_key_id": environment.get("AWS_ACCESS_KEY_ID"),
        "secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY"),
    }
    options: Any = {name: value for name, value in given.items() if value}
    store = S3Store(
        environment["FERRY_BUCKET"],
        **options,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": f"{_PUT_SECONDS}s"},
        # The writer tries again itself, and may be told to stop.
        retry_config={"max_retries": 0},
    )

    def put(key: str, content: bytes) -> None:
        store.put(key, content, attributes={"Content-Type": "application/gzip"})

    return put
