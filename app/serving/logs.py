"""One JSON line an event on stdout; never a value of a row."""

import asyncio
import logging
import sys
import threading
import time

import msgspec

_encode = msgspec.json.Encoder().encode
_FLUSH_SECONDS = 0.2
_FLUSH_LINES = 200

_lines: list[bytes] = []
_writing = threading.Lock()


def write(event: str, **fields: object) -> None:
    """Write one line with the time, the event and its fields, and all that `later` kept."""
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
    """Write what `later` kept."""
    with _writing:
        kept = _lines.copy()
        # Not `clear`: another thread may have appended since the copy.
        del _lines[: len(kept)]
        sys.stdout.buffer.write(b"".join(kept))
        sys.stdout.buffer.flush()


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
