"""One JSON line an event on stdout; never a value of a row."""

import logging
import sys
import time

import msgspec

_encode = msgspec.json.Encoder().encode


def write(event: str, **fields: object) -> None:
    """Write one line with the time, the event and its fields."""
    line = _encode({"time": round(time.time(), 3), "event": event, **fields})
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


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
