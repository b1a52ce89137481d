"""The page of a drifted window, drawn by a process of its own: what drawing takes is given back."""

import subprocess
import sys
from typing import Any

import msgspec
import pandas as pd

from app.schema import Schema
from app.watch import report
from app.watch.drift import Drift
from app.watch.windows import Columns

_SECONDS = 240
"""Most of some ten are imports."""


class _Asked(msgspec.Struct):
    """What the other process is given."""

    schema: dict[str, Any]
    before: Columns
    window: Columns
    drift: Drift


def draw(schema: Schema, before: Columns, window: Columns, drift: Drift) -> bytes:
    """The page as HTML; raises subprocess.SubprocessError when that fails or takes too long."""
    asked = _Asked(schema=schema.document(), before=before, window=window, drift=drift)
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=msgspec.json.encode(asked),
        stdout=subprocess.PIPE,
        timeout=_SECONDS,
        check=True,
    )
    return done.stdout


def main() -> None:
    """Draw what stdin asks for, to stdout."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=_Asked)
    before, window = (pd.DataFrame(columns) for columns in (asked.before, asked.window))
    page = report.html(Schema.parse(asked.schema), before, window, asked.drift)
    sys.stdout.buffer.write(page.encode())


if __name__ == "__main__":
    main()
