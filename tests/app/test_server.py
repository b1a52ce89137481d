"""The process: refuses what it must not serve, is ready when it is, and leaves politely."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import MODEL, ROOT, Signed, Trained, sign

from app import weights
from app.serving import model, server

Start = Callable[..., "Running"]


class Running:
    """A server process, and how to talk to it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def status(self, path: str) -> int | None:
        """The status of a GET, or None when nobody listens."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def wait_for(self, path: str, status: int | None) -> None:
        deadline = time.monotonic() + 30
        while self.status(path) != status:
            assert time.monotonic() < deadline, f"{path} never became {status}"
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environment(trained: Trained, signed: Signed, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "MODEL_NAME": MODEL.name,
        "MODEL_VERSION": "7",
        "MODEL_WEIGHTS": trained.weights,
        "MODEL_SIGNER": signed.signer,
        "MODEL_FOLDER": str(trained.folder),
        "MODEL_SIGNATURE": str(signed.folder),
        "PORT": str(_free_port()),
        "GRPC_PORT": str(_free_port()),
        "DRAIN_SECONDS": "0.5",
        "TERMINATION_LOG": str(tmp_path / "termination-log"),
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Generator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(**changes: str) -> Running:
        changed = {**environment, **changes}
        process = subprocess.Popen(
            [sys.executable, "-m", "app.serving.server"],
            cwd=ROOT,
            env={name: value for name, value in changed.items() if value},
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return Running(process, int(environment["PORT"]))

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_it_serves_and_leaves_with_zero(start: Start, loan: dict[str, Any]) -> None:
    running = start()
    running.wait_for("/v2/health/ready", 200)
    connection = running.connect()
    connection.request("POST", "/predict", json.dumps(loan))
    assert 0 <= json.load(connection.getresponse())["probability"] <= 1
    running.process.terminate()
    assert running.process.wait(10) == 0


@pytest.mark.slow
def test_it_drains_before_it_leaves(start: Start, loan: dict[str, Any]) -> None:
    running = start(DRAIN_SECONDS="1")
    running.wait_for("/v2/health/ready", 200)
    body = json.dumps(loan).encode()
    slow = running.connect()
    slow.putrequest("POST", "/predict")
    slow.putheader("content-length", str(len(body)))
    slow.endheaders(body[:10])

    running.process.terminate()
    running.wait_for("/v2/health/ready", 503)
    time.sleep(0.3)  # well into the drain
    late = running.connect()
    late.request("POST", "/predict", body)
    assert late.getresponse().status == 200, "requests on their way are still answered"
    running.wait_for("/v2/health/ready", None)
    assert running.process.poll() is None, "a request is in flight"
    slow.send(body[10:])
    assert slow.getresponse().status == 200
    assert running.process.wait(10) == 0


def test_a_second_signal_skips_the_drain(start: Start) -> None:
    running = start(DRAIN_SECONDS="60")
    running.wait_for("/v2/health/ready", 200)
    running.process.terminate()
    running.wait_for("/v2/health/ready", 503)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(10) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"MODEL_WEIGHTS": "sha256:" + "0" * 64}, "the release says sha256:" + "0" * 64),
        ({"MODEL_WEIGHTS": ""}, "MODEL_WEIGHTS not set"),
        ({"MODEL_SIGNER": "sha256:" + "0" * 64}, "signer.pem is the key sha256:"),
        ({"MODEL_SIGNER": ""}, "MODEL_SIGNER not set"),
        ({"MODEL_NAME": "", "MODEL_VERSION": ""}, "MODEL_NAME, MODEL_VERSION not set"),
        ({"MODEL_NAME": "other"}, f"the weights are of model {MODEL.name}"),
        ({"MODEL_FOLDER": "nowhere"}, "cannot be digested"),
        ({"PORT": "http"}, "PORT"),
    ],
)
def test_what_it_must_not_serve_ends_it_with_three_and_the_reason(
    start: Start, environment: dict[str, str], changes: dict[str, str], reason: str
) -> None:
    running = start(**changes)
    output, _ = running.process.communicate(timeout=30)
    assert running.process.returncode == server.UNFIT == 3
    assert reason in Path(environment["TERMINATION_LOG"]).read_text()
    assert reason in json.loads(output.splitlines()[-1])["reason"]


def test_an_unwritable_termination_log_does_not_hide_the_reason(start: Start) -> None:
    running = start(MODEL_WEIGHTS="sha256:0", TERMINATION_LOG="/nowhere/log")
    output, _ = running.process.communicate(timeout=30)
    assert running.process.returncode == 3
    assert b"the release says sha256:0" in output


def test_slow_bodies_do_not_keep_others_from_being_served(
    start: Start, loan: dict[str, Any]
) -> None:
    running = start()
    running.wait_for("/v2/health/ready", 200)
    slow = [running.connect() for _ in range(300)]
    for connection in slow:
        connection.putrequest("POST", "/predict")
        connection.putheader("content-length", "1000")
        connection.endheaders(b"{")
    other = running.connect()
    other.request("POST", "/predict", json.dumps(loan))
    assert other.getresponse().status == 200


def test_many_at_once_get_each_their_own_answer(start: Start, trained: Trained) -> None:
    golden = json.loads((trained.folder / "golden.json").read_text())
    running = start()
    running.wait_for("/v2/health/ready", 200)

    def differ(turn: int) -> float:
        connection = running.connect()
        worst = 0.0
        for place in range(turn, turn + 20):
            row = place % len(golden["rows"])
            connection.request("POST", "/predict", json.dumps(golden["rows"][row]))
            found = json.load(connection.getresponse())["probability"]
            worst = max(worst, abs(found - golden["probabilities"][row]))
        connection.close()
        return worst

    with ThreadPoolExecutor(16) as pool:
        assert max(pool.map(differ, range(16))) <= 1e-6


@pytest.mark.parametrize(
    ("store", "reason"),
    [("127.0.0.1:1", "names no key"), ("127.0.0.1:1,=", "ONLINE_STORE")],
)
def test_a_store_that_cannot_be_asked_is_unfit(
    start: Start, trained: Trained, tmp_path: Path, store: str, reason: str
) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "model")
    document = json.loads((folder / "model.json").read_text())
    document.pop("key", None)
    if reason == "ONLINE_STORE":
        document["key"] = "loan_id"
    (folder / "model.json").write_text(json.dumps(document))
    running = start(
        ONLINE_STORE=store,
        MODEL_FOLDER=str(folder),
        MODEL_WEIGHTS=weights.digest(folder),
        MODEL_SIGNER=sign(folder, tmp_path / "signature"),
        MODEL_SIGNATURE=str(tmp_path / "signature"),
    )
    output, _ = running.process.communicate(timeout=30)
    assert running.process.returncode == 3
    assert reason in json.loads(output.splitlines()[-1])["reason"]


def test_serving_imports_nothing_that_trains() -> None:
    code = "import app.serving.server, sys; print(*{name.split('.')[0] for name in sys.modules})"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    modules = set(answer.stdout.split())
    assert "onnxruntime" in modules
    trainers = {"mlflow", "pandas", "sklearn", "skl2onnx", "onnx", "scipy", "boto3", "typer"}
    trainers |= {"great_expectations", "feast", "starlette", "fastapi", "redis"}
    assert not trainers & modules


def test_settings_have_defaults_for_all_that_the_release_does_not_give() -> None:
    given = {
        "MODEL_NAME": "m",
        "MODEL_VERSION": "1",
        "MODEL_WEIGHTS": "sha256:0",
        "MODEL_SIGNER": "sha256:1",
    }
    settings = server.Settings.read(given)
    folders = (settings.folder, settings.signature)
    assert (*folders, settings.port) == (Path("model"), Path("signature"), 8080)
    with pytest.raises(model.Unfit, match="DRAIN_SECONDS"):
        server.Settings.read({**given, "DRAIN_SECONDS": "soon"})
