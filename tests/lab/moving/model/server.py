"""A model's server in small: a version, scores, metrics, and a manner that may change meanwhile.

Manners: good; slow; sick (500 to every other row); hungry (each request takes memory for good);
relabelled (metrics of another model); crash (ends at once). Ends without leaving a request
unanswered.
"""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MANNER = Path("/tmp/manner")
LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, float("inf"))
SCORE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, float("inf"))
VERSION = os.environ.get("MODEL_VERSION", "0")

ending = threading.Event()
counting = threading.Lock()
counts: Counter[str] = Counter()
eaten: list[bytes] = []


def manner() -> str:
    """What was last written for this pod, else what its image was made with."""
    return MANNER.read_text().strip() if MANNER.exists() else os.environ.get("MANNER", "good")


def predicted(row: bytes, how: str) -> float | None:
    """A score that is the row's own; None where there is none for it."""
    drawn = hashlib.sha256(row).digest()
    if how == "slow":
        time.sleep(0.3)
    if how == "hungry":
        eaten.append(b"x" * (2 << 20))
    return None if how == "sick" and drawn[0] % 2 else int.from_bytes(drawn[1:5]) / 2**32


def count(seconds: float, score: float | None) -> None:
    with counting:
        if score is None:
            counts["errors"] += 1
            return
        counts.update(f"latency {bound}" for bound in LATENCY if seconds <= bound)
        counts.update(f"score {bound}" for bound in SCORE if score <= bound)


def metrics(model: str) -> str:
    """As Prometheus reads them, under the names of the real server."""
    labels = f'model="{model}",version="{VERSION}"'
    lines = [f'inference_error_total{{{labels},reason="internal"}} {counts["errors"]}']
    for name, kind, bounds in (
        ("prediction_latency_seconds", "latency", LATENCY),
        ("prediction_score", "score", SCORE),
    ):
        for bound in bounds:
            le = "+Inf" if bound == float("inf") else bound
            lines.append(f'{name}_bucket{{{labels},le="{le}"}} {counts[f"{kind} {bound}"]}')
    return "\n".join([*lines, ""])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/metrics":
            name = "another" if manner() == "relabelled" else os.environ.get("MODEL_NAME", "")
            self._answer(200, metrics(name), "text/plain; version=0.0.4")
        else:
            self._answer(200, json.dumps({"version": VERSION}))

    def do_POST(self) -> None:
        began = time.perf_counter()
        row = self.rfile.read(int(self.headers.get("content-length", 0)))
        score = predicted(row, manner())
        count(time.perf_counter() - began, score)
        if score is None:
            self._answer(500, json.dumps({"version": VERSION, "error": "sick"}))
        else:
            self._answer(200, json.dumps({"version": VERSION, "probability": score}))

    def _answer(self, status: int, text: str, media: str = "application/json") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        if ending.is_set():
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def end(*_: object) -> None:
    ending.set()
    threading.Thread(target=lambda: (time.sleep(3), os._exit(0))).start()


if manner() == "crash":
    sys.exit("there are no weights here")
signal.signal(signal.SIGTERM, end)
Server(("", 8080), Handler).serve_forever()
