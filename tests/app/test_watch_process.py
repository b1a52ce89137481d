"""The real process beside a real bucket: a server's own log, posted outcomes, signals, an end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx2 as httpx
import pandas as pd
import pytest
from conftest import MODEL, ROOT
from moto.server import ThreadedMotoServer
from prometheus_client.parser import text_string_to_metric_families

from app import evidence
from app.reference import Reference
from app.serving import contract, inference, model, requestlog
from app.serving.service import Service
from app.watch.memory import DAY

pytestmark = pytest.mark.slow

START_SECONDS = 5.0
"""Of a processor's time, until it answers: what a clock says depends on who else runs."""
END_SECONDS = 5.0
"""Of the clock; less than any call of a bucket that hangs."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Generator[dict[str, str]]:
    """A bucket that another process can reach, and what a pod is told of it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    found = {
        "AWS_ENDPOINT_URL_S3": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "FERRY_BUCKET": "loans",
    }
    for name, value in {**found, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="loans")
    yield found
    server.stop()


@pytest.fixture
def released(environment: dict[str, str], loaded: model.Model, loans: pd.DataFrame) -> None:
    """The evidence of version 7, as training makes it."""
    scores = loaded.score(loaded.schema.from_columns(MODEL.dataset.columns(loans)))
    files = {
        "contract.json": json.dumps(evidence.contract(loaded)).encode(),
        "reference.json": Reference.of(loaded.schema, loans, scores).to_json(),
    }
    for name, content in files.items():
        key = f"evidence/{MODEL.name}/7/{name}"
        boto3.client("s3").put_object(Bucket="loans", Key=key, Body=content)


@dataclass
class Running:
    """A watch of its own process."""

    process: subprocess.Popen[bytes]
    url: str

    def of_process(self, name: str) -> float:
        """One of the library's metrics."""
        text = httpx.get(f"{self.url}/metrics").text
        values = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(values[0])

    def sample(self, name: str, **labels: str) -> float | None:
        wanted = {"model": MODEL.name, "version": "7", **labels}
        text = httpx.get(f"{self.url}/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == wanted:
                    return sample.value
        return None


def command(environment: dict[str, str], *arguments: str) -> tuple[list[str], dict[str, str]]:
    own = {"MODEL_VERSION": "7", "WATCH_TICK_SECONDS": "0.2", "JOBS_NAMESPACE": "dev-jobs"}
    told = [sys.executable, "-m", "app.watch", "--model", MODEL.name, *arguments]
    return told, {**os.environ, **environment, **own}


@contextmanager
def running(environment: dict[str, str]) -> Generator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told, own = command(environment)
    process = subprocess.Popen(told, env={**own, "PORT": str(port)}, cwd=ROOT)
    try:
        yield Running(process, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait(10)


def until(true: Callable[[], object], seconds: float = 180) -> float:
    begun = time.monotonic()
    while True:
        try:
            if true():
                return time.monotonic() - begun
        except httpx.TransportError:
            pass
        assert time.monotonic() - begun < seconds, "it never came to that"
        time.sleep(0.02)


def terminated(watch: Running) -> float:
    """How long it took to end after SIGTERM."""
    begun = time.monotonic()
    watch.process.send_signal(signal.SIGTERM)
    assert watch.process.wait(60) == 0
    ended = time.monotonic() - begun
    assert ended < END_SECONDS
    return ended


def test_a_servers_log_and_posted_outcomes_become_figures(
    environment: dict[str, str],
    released: None,
    service: Service,
    rows: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The server writes as it does, but long ago: outcomes of now are not final.
    long_ago = time.time() - (MODEL.watch.maturity_days + 1) * DAY
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: long_ago)
        sampled = requestlog.start({**environment, "REQUEST_LOG_SAMPLE": "1"}, service)
        assert sampled is not None
        service.sampled = sampled
        scores = inference.score_rows(service, rows, "long-ago").tolist()
        sampled.close()
    with running(environment) as watch:
        until(lambda: httpx.get(f"{watch.url}/readyz").status_code == 200)
        assert httpx.get(f"{watch.url}/healthz").status_code == 200
        until(lambda: watch.sample("outcomes_missing_ratio") == 1)
        assert watch.sample("prediction_accuracy", basis="outcomes") is None
        threshold = service.loaded().info.threshold
        right = [int(score >= threshold) for score in scores]
        given = [
            {"id": "long-ago", "row": row, "outcome": outcome} for row, outcome in enumerate(right)
        ]
        given[0]["outcome"] = 1 - right[0]
        answer = httpx.post(f"{watch.url}/outcomes", json=given)
        assert answer.json() == {"new": len(rows), "known": 0}
        until(lambda: watch.sample("outcomes_matured") == len(rows))
        share = (len(rows) - 1) / len(rows)
        assert watch.sample("prediction_accuracy", basis="outcomes") == pytest.approx(share)
        assert watch.sample("outcomes_missing_ratio") == 0
        assert watch.sample("watch_errors_total", step="requests") == 0
        watch.process.kill()
    # What was answered is in the bucket: another process finds it there.
    told, own = command(environment, "--once", "--json")
    done = subprocess.run(told, env=own, cwd=ROOT, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["measures"]["7"]["accuracy"] == pytest.approx(share)
    assert (found["failed"], found["broken"]) == ([], {})
    assert found["window"]["verdict"] == "short"


def test_it_starts_and_ends_quickly_and_keeps_to_the_contract(
    environment: dict[str, str], released: None
) -> None:
    with running(environment) as watch:
        waited = until(lambda: httpx.get(f"{watch.url}/healthz").status_code == 200)
        started = watch.of_process("process_cpu_seconds_total")
        until(lambda: watch.sample("watch_last_success_timestamp_seconds"))
        memory = watch.of_process("process_resident_memory_bytes")
        text = httpx.get(f"{watch.url}/metrics").text
        known = contract.of("watch")
        families = {family.name for family in text_string_to_metric_families(text)}
        assert families <= known.keys()
        assert {name for name in known if name.startswith("watch_")} <= families
        ended = terminated(watch)
    print(f"alive after {waited:.2f} s, {started:.2f} s of CPU; gone after {ended:.2f} s")
    print(f"{memory / 2**20:.0f} MiB")
    assert started < START_SECONDS


def test_a_bucket_that_is_away_keeps_it_alive_and_not_ready(environment: dict[str, str]) -> None:
    gone = {**environment, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    with running(gone) as watch:
        until(lambda: watch.sample("watch_errors_total", step="outcomes"))
        assert httpx.get(f"{watch.url}/healthz").status_code == 200
        assert httpx.get(f"{watch.url}/readyz").status_code == 503
        terminated(watch)


def test_a_bucket_that_hangs_does_not_keep_it(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = {
            **environment,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        with running(hangs) as watch:
            silent.settimeout(180)
            _asking = silent.accept()
            until(lambda: httpx.get(f"{watch.url}/healthz").status_code == 200)
            terminated(watch)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_VERSION", ""),
        ("MODEL_VERSION", "0"),
        ("WATCH_TICK_SECONDS", "nan"),
        ("WATCH_WINDOW_SECONDS", "1"),
        ("JOBS_NAMESPACE", ""),
        ("FERRY_BUCKET", ""),
    ],
)
def test_an_environment_that_is_wrong_is_refused_by_name(
    environment: dict[str, str], name: str, value: str
) -> None:
    told, own = command(environment)
    done = subprocess.run(told, env={**own, name: value}, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 3
    assert "refused: " in done.stderr
