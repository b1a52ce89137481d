"""`python -m benchmarks.serving`: our server over REST beside MLflow's, MLServer, FastAPI and the
ceiling, an ASGI application that does nothing but score.

One worker, 16 connections, one row a request, the same weights; CPU from /proc, load by wrk.
MLServer gets an environment of its own in the cache folder, the others run in `app/.venv`.
"""

import argparse
import http.client
import json
import os
import re
import shutil
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import servers as bench
from benchmarks.servers import CACHE, CONNECTIONS, NAME, OURS, PEERS, Command, Cost, model, out

SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local bodies, turn = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
request = function()
  turn = turn %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[turn])
end
"""


@dataclass(frozen=True)
class Server:
    """How a server is started, and how it is asked for one row."""

    command: Command
    path: str
    form: str


def servers(folder: Path) -> dict[str, Server]:
    """Ours and its peers."""
    plain = [OURS, PEERS / "rest_plain.py"]
    infer = f"/v2/models/{NAME}/infer"
    mlflow = [OURS.with_name("mlflow"), "models", "serve", "-m", folder / "mlflow", "-p", "{rest}"]
    found = {
        "Ferry (complete server)": Server([OURS, "-m", "app.serving.server"], "/predict", "row"),
        "raw ASGI + ONNX (ceiling)": Server([*plain, "raw", folder, "{rest}"], "/predict", "row"),
        "FastAPI + ONNX": Server([*plain, "onnx", folder, "{rest}"], "/predict", "row"),
        "FastAPI + scikit-learn": Server([*plain, "sklearn", folder, "{rest}"], "/predict", "row"),
        "mlflow models serve": Server(
            [*mlflow, "--env-manager", "local", "--workers", "1"], "/invocations", "records"
        ),
    }
    if (command := bench.mlserver()) is not None:
        found["MLServer + ONNX"] = Server(command, infer, "tensors")
    return found


def measure(seconds: int, rounds: int) -> dict[str, list[Cost]]:
    """Each server in turn, `rounds` times, so that a busy moment does not hit one alone."""
    folder = model()
    rows = json.loads((folder / "model/golden.json").read_text())
    found = servers(folder)
    costs: dict[str, list[Cost]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, server in found.items():
            costs[name].append(_cost(server, folder, rows, seconds))
    return costs


def _cost(server: Server, folder: Path, golden: dict[str, Any], seconds: int) -> Cost:
    bodies = [body(server.form, row) for row in golden["rows"]]
    with running(server, folder, bodies[0]) as (pid, port, start):
        load = wrk(port, server.path, bodies, 1)
        before = bench.cpu(pid)
        load = wrk(port, server.path, bodies, seconds)
        spent = bench.cpu(pid) - before
        return Cost(
            cpu=spent / load["count"] * 1e6,
            rate=load["count"] / seconds,
            median=load["50"],
            p99=load["99"],
            resident=bench.resident(pid),
            start=start,
            difference=_difference(port, server.path, bodies, golden["probabilities"]),
        )


def body(form: str, row: dict[str, Any]) -> str:
    """One row as a server wants it, on one line."""
    if form == "row":
        return json.dumps(row)
    if form == "records":
        return json.dumps({"dataframe_records": [row]})
    tensors = [
        {
            "name": name,
            "shape": [1],
            "datatype": "BYTES" if isinstance(value, str) else "FP64",
            "data": [value],
        }
        for name, value in row.items()
    ]
    return json.dumps({"inputs": tensors})


@contextmanager
def running(server: Server, folder: Path, first: str) -> Generator[tuple[int, int, float]]:
    """The server's process id, its port, and the seconds until it scored `first`."""

    def ready(rest: int, grpc: int) -> bool:
        return _scores(rest, server.path, first)

    with bench.running(server.command, folder / "model", ready) as (process, rest, _, start):
        yield process.pid, rest, start


def _scores(port: int, path: str, content: str) -> bool:
    try:
        return _probability(port, path, content) is not None
    except (OSError, http.client.HTTPException):
        return False


def _probability(port: int, path: str, content: str) -> float | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, content, {"content-type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read() or b"null")
    finally:
        connection.close()
    if answer.status != 200:
        return None
    if "predictions" in found:
        return found["predictions"][0]
    return found["outputs"][0]["data"][0] if "outputs" in found else found["probability"]


def _difference(port: int, path: str, bodies: list[str], expected: list[float]) -> float:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        found = pool.map(lambda content: _probability(port, path, content), bodies * 20)
        pairs = zip(found, expected * 20, strict=True)
        return max(abs((score if score is not None else 1) - wanted) for score, wanted in pairs)


def wrk(port: int, path: str, bodies: list[str], seconds: int) -> dict[str, float]:
    """Keep 16 connections busy: `count` requests, their `50` and `99` percentile in ms."""
    content, script = CACHE / "bodies.txt", CACHE / "post.lua"
    content.write_text("\n".join(bodies) + "\n")
    script.write_text(SCRIPT % content)
    printed = out(
        _installed("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--timeout", "30",
        "--latency", "-s", script, f"http://127.0.0.1:{port}{path}",
    ).decode()  # fmt: skip
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(f"not all were answered:\n{printed}")
    found = {
        share: float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
        for share, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", printed)
    }
    count = re.search(r"(\d+) requests in", printed)
    return {**found, "count": float(count[1]) if count else 0.0}


def _installed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is not installed; `apt-get install {name}` does that")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    CACHE.mkdir(parents=True, exist_ok=True)
    bench.show("REST", measure(given.seconds, given.rounds))


if __name__ == "__main__":
    main()
