"""`python -m benchmarks.serving_load`: our server over REST at 250 requests a second, at twice what
it can do, and asked for 1,000 rows at once. Open loop, by vegeta: latency counts from when a
request was due. Needs Go.
"""

import base64
import http.client
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.servers import CACHE, NAME, model, out
from benchmarks.serving import body, running, servers, wrk

VEGETA = "github.com/tsenart/vegeta/v12@v12.12.0"
SECONDS = 8


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder = model()
    rows = json.loads((folder / "model/golden.json").read_text())["rows"]
    bodies = [body("row", row) for row in rows]
    server = next(iter(servers(folder).values()))
    table = Table("load", "answers", "p50 ms", "p99 ms", title=f"REST, 1 worker, model {NAME}")
    with running(server, folder, bodies[0]) as (_, port, _):
        most = wrk(port, server.path, bodies, SECONDS)["count"] / SECONDS
        for rate in (250, round(2 * most)):
            for status, times in sorted(_attack(port, server.path, bodies, rate).items()):
                share = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
                cells = f"{len(times)} x {status}", f"{share[49]:.1f}", f"{share[98]:.1f}"
                table.add_row(f"{rate} a second", *cells)
        times = _batches(port, server.path, rows)
        share = statistics.quantiles(times, n=100)
        table.add_row("1,000 rows, one by one", "200", f"{share[49]:.1f}", f"{share[98]:.1f}")
    Console(width=90).print(table)


def _attack(port: int, path: str, bodies: list[str], rate: int) -> dict[int, list[float]]:
    """Milliseconds of each answer, by status; 0 stands for a connection that failed."""
    targets = CACHE / "targets.json"
    targets.write_text(
        "\n".join(
            json.dumps(
                {
                    "method": "POST",
                    "url": f"http://127.0.0.1:{port}{path}",
                    "header": {"content-type": ["application/json"]},
                    "body": base64.b64encode(content.encode()).decode(),
                }
            )
            for content in bodies
        )
    )
    found = CACHE / "results.bin"
    out(
        _vegeta(), "attack", "-format=json", f"-targets={targets}", f"-rate={rate}",
        f"-duration={SECONDS}s", "-max-workers=500", "-connections=500", f"-output={found}",
    )  # fmt: skip
    by_status: dict[int, list[float]] = {}
    for line in out(_vegeta(), "encode", "--to=json", found).splitlines():
        result = json.loads(line)
        by_status.setdefault(result["code"], []).append(result["latency"] / 1e6)
    return by_status


def _batches(port: int, path: str, rows: list[dict]) -> list[float]:
    content = json.dumps((rows * 1000)[:1000])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    times = []
    for _ in range(100):
        begun = time.perf_counter()
        connection.request("POST", path, content)
        answer = connection.getresponse()
        if answer.status != 200 or len(json.load(answer)["probabilities"]) != 1000:
            raise RuntimeError(f"1,000 rows got {answer.status}")
        times.append((time.perf_counter() - begun) * 1000)
    return times


def _vegeta() -> Path:
    found = CACHE / "bin/vegeta"
    if not found.exists():
        environment = {**os.environ, "GOBIN": str(found.parent)}
        subprocess.run(["go", "install", VEGETA], check=True, env=environment, cwd=CACHE)
    return found


if __name__ == "__main__":
    main()
