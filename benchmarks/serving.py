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
import socket
import subprocess
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("FERRY_CACHE", Path.home() / ".cache/ferry")) / "benchmarks"
OURS = ROOT / "app/.venv/bin/python"
PEERS = ROOT / "benchmarks/peers"
NAME = "credit-default"
CONNECTIONS = 16
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

    command: list[Path | str]
    path: str
    form: str


@dataclass(frozen=True)
class Cost:
    """Microseconds of CPU a request, requests a second, milliseconds, MiB, seconds until the first
    score, and how far scores are from those of training, asked by all connections at once."""

    cpu: float
    rate: float
    median: float
    p99: float
    resident: float
    start: float
    difference: float


def servers(folder: Path) -> dict[str, Server]:
    """Ours and its peers."""
    plain = [OURS, PEERS / "rest_plain.py"]
    infer = f"/v2/models/{NAME}/infer"
    mlflow = [OURS.with_name("mlflow"), "models", "serve", "-m", folder / "mlflow", "-p", "{port}"]
    found = {
        "Ferry (complete server)": Server([OURS, "-m", "app.serving.server"], "/predict", "row"),
        "raw ASGI + ONNX (ceiling)": Server([*plain, "raw", folder, "{port}"], "/predict", "row"),
        "FastAPI + ONNX": Server([*plain, "onnx", folder, "{port}"], "/predict", "row"),
        "FastAPI + scikit-learn": Server([*plain, "sklearn", folder, "{port}"], "/predict", "row"),
        "mlflow models serve": Server(
            [*mlflow, "--env-manager", "local", "--workers", "1"], "/invocations", "records"
        ),
    }
    try:
        python = _environment("mlserver", "mlserver==1.7.1")
        command = [python.with_name("mlserver"), "start", _settings()]
        found["MLServer + ONNX"] = Server(command, infer, "tensors")
    except subprocess.CalledProcessError:
        print("MLServer cannot be installed here and is left out")
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
    with running(server, folder, bodies[0]) as (process, port, start):
        load = wrk(port, server.path, bodies, 1)
        before = _cpu(process.pid)
        load = wrk(port, server.path, bodies, seconds)
        spent = _cpu(process.pid) - before
        return Cost(
            cpu=spent / load["count"] * 1e6,
            rate=load["count"] / seconds,
            median=load["50"],
            p99=load["99"],
            resident=_resident(process.pid),
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
def running(
    server: Server, folder: Path, first: str
) -> Generator[tuple[subprocess.Popen[bytes], int, float]]:
    """The server's process, its port, and the seconds until it scored `first`."""
    port, grpc, metrics = (_free_port() for _ in range(3))
    environment = {
        **os.environ,
        "PATH": f"{OURS.parent}:{os.environ['PATH']}",  # mlflow looks for its parts there
        "PYTHONPATH": f"{ROOT}:{PEERS}",
        "MODEL_NAME": NAME,
        "MODEL_VERSION": "1",
        "MODEL_WEIGHTS": out(OURS, "-m", "app.weights", folder / "model").strip(),
        "MODEL_FOLDER": str(folder / "model"),
        "PORT": str(port),
        "GRPC_PORT": str(grpc),
        "DRAIN_SECONDS": "0",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(part).format(port=port) for part in server.command],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _scores(port, server.path, first):
            if process.poll() is not None or time.perf_counter() - begun > 120:
                raise RuntimeError(f"{server.command[0]} did not start")
            time.sleep(0.02)
        yield process, port, time.perf_counter() - begun
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


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
    )  # fmt: skip
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


def _tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _tree(int(child))


def _cpu(pid: int) -> float:
    ticks = 0
    for process in _tree(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    """MiB; memory that processes share is divided among them."""
    lines = [Path(f"/proc/{process}/smaps_rollup").read_text() for process in _tree(pid)]
    return sum(int(kib) for text in lines for kib in re.findall(r"^Pss: +(\d+)", text, re.M)) / 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def model() -> Path:
    """The folder that rest_fit.py wrote."""
    folder = CACHE / "rest"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        out(OURS, PEERS / "rest_fit.py", folder)
        (folder / "whole").touch()
    return folder


def _environment(name: str, *packages: str) -> Path:
    """The Python of a peer's own environment."""
    folder = CACHE / name
    if not (folder / "whole").exists():
        uv = out(ROOT / "lab/uv").strip()
        out(uv, "venv", "-q", "--clear", "-p", "3.11", folder)
        python = folder / "bin/python"
        out(uv, "pip", "install", "-q", "--python", python, *packages, "onnxruntime", "numpy")
        (folder / "whole").touch()
    return folder / "bin/python"


def _settings() -> Path:
    folder = CACHE / "mlserver-model"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"name": NAME, "implementation": "grpc_mlserver.Onnx"}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return folder


def out(*command: object) -> str:
    """What a command prints; raises CalledProcessError when it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [str(part) for part in command],
        check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    ).stdout  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    CACHE.mkdir(parents=True, exist_ok=True)
    columns = ("server", "CPU µs", "ratio", "req/s", "p50 ms", "p99 ms", "MiB", "start s", "diff")
    table = Table(*columns, title="REST, 1 worker, 16 connections, 1 row; best round of each")
    ours = 0.0
    for name, costs in measure(given.seconds, given.rounds).items():
        best = min(costs, key=lambda cost: cost.cpu)
        ours = ours or best.cpu
        table.add_row(
            name, f"{best.cpu:.0f}", f"{best.cpu / ours:.2f}", f"{best.rate:.0f}",
            f"{best.median:.2f}", f"{best.p99:.1f}", f"{best.resident:.0f}", f"{best.start:.2f}",
            f"{best.difference:.0e}",
        )  # fmt: skip
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
