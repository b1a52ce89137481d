"""How the commands speak: progress as JSON lines, and last words where Kubernetes keeps them."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TERMINATION_LOG = Path("/dev/termination-log")
MOST_BYTES = 4096


def log(event: str, **fields: Any) -> None:  # noqa: ANN401 - what JSON can say
    """One line on stdout."""
    print(json.dumps({"time": round(time.time(), 3), "event": event, **fields}), flush=True)


def last(document: Mapping[str, Any], path: Path) -> None:
    """The result: one JSON line on stdout, and the same in the container's termination message."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    print(text, flush=True)
    try:
        path.write_bytes(text.encode()[:MOST_BYTES])
    except OSError as error:
        print(f"{path}: {error}", file=sys.stderr)
