"""`python -m benchmarks.grpc_serving`: our server over gRPC beside grpc.aio, threads and MLServer.

One worker, 16 connections, one row a request, the same weights; CPU from /proc, load by ghz. The
peers get environments of their own in the cache folder. Needs Go, and `app/.venv`.
"""

import argparse
import json
import os
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("FERRY_CACHE", Path.home() / ".cache/ferry")) / "benchmarks"
GHZ = "github.com/bojand/ghz/cmd/ghz@v0.120.0"
PROTOS = ROOT / "app/serving/protos"
OURS = ROOT / "app/.venv/bin/python"
PEERS = ROOT / "benchmarks/peers"
CONNECTIONS = "16"
TRAIN = """
import sys
from pathlib import Path
from app import definition, train, weights
model = definition.find("credit-default")
train.build(model, model.dataset.load(sample=True), "0" * 64, Path(sys.argv[1]))
"""


@dataclass(frozen=True)
class Cost:
    """A server under load: microseconds of CPU a request, requests a second, milliseconds, MiB,
    seconds until its port answered, and how far its scores are from training's."""

    cpu: float
    rate: float
    median: float
    p99: float
    resident: float
    start: float
    difference: float


def measure(requests: int, rounds: int) -> dict[str, list[Cost]]:
    """Each server in turn, `rounds` times, so that a busy moment does not hit one alone."""
    folder, plain, mlserver = _model(), _environment("grpc", "grpcio", "protobuf"), None
    try:
        mlserver = _environment("mlserver", "mlserver==1.7.1")
    except subprocess.CalledProcessError:
        print("MLServer cannot be installed here and is left out")
    body = CACHE / "request.bin"
    body.write_bytes(_ask(plain, folder))
    commands = {
        "Ferry (complete server)": [OURS, "-m", "app.serving.server"],
        "grpc.aio + ONNX": [plain, PEERS / "grpc_plain.py", "aio", folder, "{port}"],
        "grpc, 2 threads + ONNX": [plain, PEERS / "grpc_plain.py", "threads", folder, "{port}"],
    }
    if mlserver:
        commands["MLServer + ONNX"] = [mlserver.with_name("mlserver"), "start", _settings()]
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(_cost(command, folder, plain, body, requests))
    return costs


def _cost(command: list[Path | str], folder: Path, plain: Path, body: Path, requests: int) -> Cost:
    with _running(command, folder) as (process, port, start):
        _load(port, body, requests // 8)
        before = _cpu(process.pid)
        report = _load(port, body, requests)
        spent = _cpu(process.pid) - before
        latency = {
            part["percentage"]: part["latency"] / 1e6 for part in report["latencyDistribution"]
        }
        return Cost(
            cpu=spent / report["count"] * 1e6,
            rate=report["rps"],
            median=latency[50],
            p99=latency[99],
            resident=_resident(process.pid),
            start=start,
            difference=float(_ask(plain, folder, str(port))),
        )


@contextmanager
def _running(
    command: list[Path | str], folder: Path
) -> Generator[tuple[subprocess.Popen[bytes], int, float]]:
    port, rest, metrics = (_free_port() for _ in range(3))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{PEERS}",
        "MODEL_NAME": "credit-default",
        "MODEL_VERSION": "1",
        "MODEL_WEIGHTS": _digest(folder),
        "MODEL_FOLDER": str(folder),
        "PORT": str(rest),
        "GRPC_PORT": str(port),
        "DRAIN_SECONDS": "0",
        "MLSERVER_HTTP_PORT": str(rest),
        "MLSERVER_GRPC_PORT": str(port),
        "MLSERVER_METRICS_PORT": str(metrics),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(part).format(port=port) for part in command],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - begun > 120:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.02)
        start = time.perf_counter() - begun
        time.sleep(2)
        yield process, port, start
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _load(port: int, body: Path, requests: int) -> dict:
    printed = _out(
        _ghz(), "--insecure", "--proto", PROTOS / "oip.proto", "--binary-file", body,
        "--call", "inference.GRPCInferenceService/ModelInfer", "--concurrency", CONNECTIONS,
        "--connections", CONNECTIONS, "--total", requests, "--format", "json", f"127.0.0.1:{port}",
    )  # fmt: skip
    report = json.loads(printed)
    if report["statusCodeDistribution"] != {"OK": report["count"]}:
        raise RuntimeError(f"not all were answered: {report['statusCodeDistribution']}")
    return report


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    ]
    return int(line.split()[1]) / 1024


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _model() -> Path:
    folder = CACHE / "model"
    if not (folder / "model.onnx").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _out(OURS, "-c", TRAIN, folder)
    return folder


def _digest(folder: Path) -> str:
    return _out(OURS, "-m", "app.weights", folder).decode().strip()


def _ask(python: Path, folder: Path, *port: str) -> bytes:
    return _out(python, PEERS / "grpc_ask.py", folder, *port)


def _ghz() -> Path:
    found = CACHE / "bin/ghz"
    if not found.exists():
        environment = {**os.environ, "GOBIN": str(found.parent)}
        subprocess.run(["go", "install", GHZ], check=True, env=environment, cwd=CACHE)
    return found


def _environment(name: str, *packages: str) -> Path:
    """The Python of a peer's own environment."""
    folder = CACHE / name
    if not (folder / "whole").exists():
        uv = _out(ROOT / "lab/uv").decode().strip()
        subprocess.run([uv, "venv", "-q", "--clear", "-p", "3.11", folder], check=True)
        python = folder / "bin/python"
        wanted = [*packages, "onnxruntime", "numpy"]
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *wanted], check=True)
        (folder / "whole").touch()
    return folder / "bin/python"


def _settings() -> Path:
    folder = CACHE / "mlserver-model"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"name": "credit-default", "implementation": "grpc_mlserver.Onnx"}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return folder


def _out(*command: object) -> bytes:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, env=environment, cwd=ROOT
    ).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=16000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    columns = ("server", "CPU µs", "ratio", "req/s", "p50 ms", "p99 ms", "MiB", "start s", "diff")
    table = Table(*columns, title="gRPC, 1 worker, 16 connections, 1 row; best round of each")
    ours = 0.0
    for name, costs in measure(given.requests, given.rounds).items():
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
