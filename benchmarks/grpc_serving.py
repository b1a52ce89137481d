"""`python -m benchmarks.grpc_serving`: our server over gRPC beside grpc.aio, threads and MLServer.

One worker, 16 connections, one row a request, the same weights; CPU from /proc, load by ghz. The
peers get environments of their own in the cache folder. Needs Go, and `app/.venv`.
"""

import argparse
import json
import os
import socket
import subprocess
from pathlib import Path

from benchmarks import servers as bench
from benchmarks.servers import CACHE, OURS, PEERS, ROOT, Command, Cost, out

GHZ = "github.com/bojand/ghz/cmd/ghz@v0.120.0"
PROTOS = ROOT / "app/serving/protos"
CONNECTIONS = str(bench.CONNECTIONS)


def measure(requests: int, rounds: int) -> dict[str, list[Cost]]:
    """Each server in turn, `rounds` times, so that a busy moment does not hit one alone."""
    folder, plain = bench.model() / "model", bench.environment("grpc", "grpcio", "protobuf")
    body = CACHE / "request.bin"
    body.write_bytes(_ask(plain, folder))
    commands: dict[str, Command] = {
        "Ferry (complete server)": [OURS, "-m", "app.serving.server"],
        "grpc.aio + ONNX": [plain, PEERS / "grpc_plain.py", "aio", folder, "{grpc}"],
        "grpc, 2 threads + ONNX": [plain, PEERS / "grpc_plain.py", "threads", folder, "{grpc}"],
    }
    if (mlserver := bench.mlserver()) is not None:
        commands["MLServer + ONNX"] = mlserver
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(_cost(command, folder, plain, body, requests))
    return costs


def _cost(command: Command, folder: Path, plain: Path, body: Path, requests: int) -> Cost:
    with bench.running(command, folder, _answers) as (process, _, port, start):
        _load(port, body, requests // 8)
        before = bench.cpu(process.pid)
        report = _load(port, body, requests)
        spent = bench.cpu(process.pid) - before
        latency = {
            part["percentage"]: part["latency"] / 1e6 for part in report["latencyDistribution"]
        }
        return Cost(
            cpu=spent / report["count"] * 1e6,
            rate=report["rps"],
            median=latency[50],
            p99=latency[99],
            resident=bench.resident(process.pid),
            start=start,
            difference=float(_ask(plain, folder, str(port))),
        )


def _load(port: int, body: Path, requests: int) -> dict:
    printed = out(
        _ghz(), "--insecure", "--proto", PROTOS / "oip.proto", "--binary-file", body,
        "--call", "inference.GRPCInferenceService/ModelInfer", "--concurrency", CONNECTIONS,
        "--connections", CONNECTIONS, "--total", requests, "--format", "json", f"127.0.0.1:{port}",
    )  # fmt: skip
    report = json.loads(printed)
    if report["statusCodeDistribution"] != {"OK": report["count"]}:
        raise RuntimeError(f"not all were answered: {report['statusCodeDistribution']}")
    return report


def _answers(rest: int, grpc: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", grpc), 0.2).close()
    except OSError:
        return False
    return True


def _ask(python: Path, folder: Path, *port: str) -> bytes:
    return out(python, PEERS / "grpc_ask.py", folder, *port)


def _ghz() -> Path:
    found = CACHE / "bin/ghz"
    if not found.exists():
        environment = {**os.environ, "GOBIN": str(found.parent)}
        subprocess.run(["go", "install", GHZ], check=True, env=environment, cwd=CACHE)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=16000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    bench.show("gRPC", measure(given.requests, given.rounds))


if __name__ == "__main__":
    main()
