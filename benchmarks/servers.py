"""Servers under load: how each is started in an environment of its own, and what it costs."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("FERRY_CACHE", Path.home() / ".cache/ferry")) / "benchmarks"
OURS = ROOT / "app/.venv/bin/python"
PEERS = ROOT / "benchmarks/peers"
NAME = "credit-default"
CONNECTIONS = 16

_PATIENCE = 120  # seconds until a server must have started

Command = Sequence[Path | str]


@dataclass(frozen=True)
class Cost:
    """A server under load: microseconds of CPU a request, requests a second, milliseconds, MiB,
    seconds until it was there, and how far its scores are from training's."""

    cpu: float
    rate: float
    median: float
    p99: float
    resident: float
    start: float
    difference: float


@contextmanager
def running(
    command: Command, folder: Path, ready: Callable[[int, int], bool]
) -> Generator[tuple[subprocess.Popen[bytes], int, int, float]]:
    """The server's process, its REST and gRPC port, and the seconds until `ready` of both.

    `{rest}` and `{grpc}` in the command are the ports; `folder` holds the model.
    """
    rest, grpc, metrics = (_free_port() for _ in range(3))
    signature = folder.with_name("signature") / "signature.json"
    environment = {
        **os.environ,
        "PATH": f"{OURS.parent}:{os.environ['PATH']}",  # mlflow looks for its parts there
        "PYTHONPATH": f"{ROOT}:{PEERS}",
        "MODEL_NAME": NAME,
        "MODEL_VERSION": "1",
        "MODEL_WEIGHTS": out(OURS, "-m", "app.weights", folder).decode().strip(),
        "MODEL_SIGNER": _signer(folder, signature),
        "MODEL_FOLDER": str(folder),
        "MODEL_SIGNATURE": str(signature.parent),
        "PORT": str(rest),
        "GRPC_PORT": str(grpc),
        "DRAIN_SECONDS": "0",
        "MLSERVER_HTTP_PORT": str(rest),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    }
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(part).format(rest=rest, grpc=grpc) for part in command],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not ready(rest, grpc):
            if process.poll() is not None or time.perf_counter() - begun > _PATIENCE:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.02)
        yield process, rest, grpc, time.perf_counter() - begun
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _signer(folder: Path, signature: Path) -> str:
    """Whose signature of the model is at `signature` now."""
    signed = out(OURS, "-m", "app.signing", "sign", folder, "--signature", signature, "--json")
    return json.loads(signed)["signer"]


def cpu(pid: int) -> float:
    """Seconds that a process and its descendants have used."""
    ticks = 0
    for process in _tree(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """MiB; memory that processes share is divided among them."""
    lines = [Path(f"/proc/{process}/smaps_rollup").read_text() for process in _tree(pid)]
    return sum(int(kib) for text in lines for kib in re.findall(r"^Pss: +(\d+)", text, re.M)) / 1024


def environment(name: str, *packages: str) -> Path:
    """The Python of a peer's own environment, with onnxruntime and numpy."""
    folder = CACHE / name
    if not (folder / "whole").exists():
        uv = out(ROOT / "lab/uv").decode().strip()
        out(uv, "venv", "-q", "--clear", "-p", "3.11", folder)
        python = folder / "bin/python"
        out(uv, "pip", "install", "-q", "--python", python, *packages, "onnxruntime", "numpy")
        (folder / "whole").touch()
    return folder / "bin/python"


def mlserver() -> Command | None:
    """How MLServer is started, or None where it cannot be installed."""
    try:
        python = environment("mlserver", "mlserver==1.7.1")
    except subprocess.CalledProcessError:
        print("MLServer cannot be installed here and is left out")
        return None
    folder = CACHE / "mlserver-model"
    folder.mkdir(parents=True, exist_ok=True)
    settings = f'{{"name": "{NAME}", "implementation": "grpc_mlserver.Onnx"}}'
    (folder / "model-settings.json").write_text(settings)
    return [python.with_name("mlserver"), "start", folder]


def model() -> Path:
    """The folder of the sample's model, as `peers/rest_fit.py` writes it once, for every peer."""
    folder = CACHE / "rest"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        out(OURS, PEERS / "rest_fit.py", folder)
        (folder / "whole").touch()
    return folder


def out(*command: object) -> bytes:
    """What a command prints; raises CalledProcessError when it fails."""
    with_ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [str(part) for part in command],
        check=True, stdout=subprocess.PIPE, env=with_ours, cwd=ROOT,
    ).stdout  # fmt: skip


def show(title: str, costs: Mapping[str, Sequence[Cost]]) -> None:
    """Print the best round of each server, beside the first."""
    columns = ("server", "CPU µs", "ratio", "req/s", "p50 ms", "p99 ms", "MiB", "start s", "diff")
    table = Table(*columns, title=f"{title}, 1 worker, 16 connections, 1 row; best round of each")
    ours = 0.0
    for name, rounds in costs.items():
        best = min(rounds, key=lambda cost: cost.cpu)
        ours = ours or best.cpu
        table.add_row(
            name, f"{best.cpu:.0f}", f"{best.cpu / ours:.2f}", f"{best.rate:.0f}",
            f"{best.median:.2f}", f"{best.p99:.1f}", f"{best.resident:.0f}", f"{best.start:.2f}",
            f"{best.difference:.0e}",
        )  # fmt: skip
    Console(width=110).print(table)


def _tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _tree(int(child))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
