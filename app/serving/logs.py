"""One JSON line an event on stdout; never a value of a row, and never a reason to wait."""

import asyncio
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from itertools import chain

import msgspec

_encode = msgspec.json.Encoder().encode
_FLUSH_SECONDS = 0.2
_FLUSH_LINES = 200
_KEPT_BYTES = 1 << 20
"""Of lines that nobody reads yet; some 8,000 of them. More are dropped, and counted."""
_EXIT_SECONDS = 2.0


class Writer:
    """Lines for a file descriptor, written by a thread: only it waits when nobody reads.

    Lines that were dropped are told of by the next line that is written.
    """

    def __init__(self, descriptor: int, most: int = _KEPT_BYTES) -> None:
        self.count_dropped: Callable[[int], object] = lambda lines: None
        self._descriptor = descriptor
        self._most = most
        self._kept: list[list[bytes]] = []
        self._bytes = 0
        """Of what is kept and what is being written."""
        self._dropped = 0
        """Lines that nobody has been told of yet."""
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, lines: list[bytes]) -> None:
        """Have the lines written; drops them when too much waits already. Never blocks."""
        size = sum(map(len, lines))
        with self._change:
            if self._bytes + size > self._most:
                self._drop(len(lines))
                return
            self._bytes += size
            self._kept.append(lines)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def drain(self, seconds: float) -> None:
        """Wait until all is written, but at most so long."""
        with self._change:
            self._change.wait_for(lambda: not self._bytes, seconds)

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        self.count_dropped(lines)

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._kept)
                lines = list(chain.from_iterable(self._kept))
                self._kept.clear()
                dropped, self._dropped = self._dropped, 0
            told = [_line("log lines dropped", {"lines": dropped})] if dropped else []
            try:
                self._write(b"".join(lines + told))
                lost = 0
            except OSError:  # whoever read it has gone
                lost = len(lines)
            with self._change:
                if lost:
                    self._dropped += dropped
                    self._drop(lost)
                self._bytes -= sum(map(len, lines))
                self._change.notify_all()

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # a descriptor that somebody made so
                select.select([], [self._descriptor], [])


_lines: list[bytes] = []
_handing = threading.Lock()
_writer = Writer(1)


def write(event: str, **fields: object) -> None:
    """Have a line written with the time, the event and its fields, and all that `later` kept."""
    _lines.append(_line(event, fields))
    flush()


def later(event: str, **fields: object) -> None:
    """As `write`, but within 0.2 s: a system call for each request would cost more than its line.

    Call it on the event loop only.
    """
    _lines.append(_line(event, fields))
    if len(_lines) == 1:
        asyncio.get_running_loop().call_later(_FLUSH_SECONDS, flush)
    elif len(_lines) >= _FLUSH_LINES:
        flush()


def flush() -> None:
    """Have what `later` kept written."""
    with _handing:
        kept = _lines.copy()
        # Not `clear`: another thread may have appended since the copy.
        del _lines[: len(kept)]
        if kept:
            _writer.put(kept)


def drain() -> None:
    """Write everything before the process ends, or give up after two seconds."""
    flush()
    _writer.drain(_EXIT_SECONDS)


def count_dropped(count: Callable[[int], object]) -> None:
    """Have `count` called with the number of lines whenever some are dropped."""
    _writer.count_dropped = count


def _line(event: str, fields: dict[str, object]) -> bytes:
    return _encode({"time": round(time.time(), 3), "event": event, **fields}) + b"\n"


class JsonHandler(logging.Handler):
    """Sends what libraries log, such as uvicorn's warnings, the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        failure = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        write(
            "log",
            level=record.levelname.lower(),
            logger=record.name,
            message=record.getMessage(),
            exception=failure,
        )
