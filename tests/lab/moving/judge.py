"""Waits for mirrored requests, asks both releases, and finds every version from 90 on bad."""

import argparse
import json
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SERIES = {"seen": 0}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        SERIES["seen"] += 1
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("model", "stable-hash", "canary-hash", "prometheus", "stable-url", "canary-url"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("minimum-requests", "deadline", "port"):
        parser.add_argument(f"--{name}", required=True, type=int)
    told = parser.parse_args()
    server = ThreadingHTTPServer(("", told.port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    until = time.monotonic() + told.deadline
    while SERIES["seen"] < told.minimum_requests and time.monotonic() < until:
        time.sleep(0.5)
    versions = {}
    for which in ("stable", "canary"):
        with urllib.request.urlopen(vars(told)[f"{which}_url"], timeout=5) as answer:  # noqa: S310
            versions[which] = json.load(answer)["version"]
    enough = SERIES["seen"] >= told.minimum_requests
    good = enough and int(versions["canary"]) < 90
    reason = f"version {versions['canary']} is no good" if enough else "not enough requests"
    said = {"verdict": "promote" if good else "roll back", "reason": reason, **SERIES, **versions}
    said |= {"hashes": [told.stable_hash, told.canary_hash]}
    print(json.dumps(said))
    Path("/dev/termination-log").write_text(json.dumps(said))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
