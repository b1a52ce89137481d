"""A real Prometheus of a stack: it scrapes the models' pods, nobody else's, and goes wholly."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lab import paths, toolchain
from tests.lab.project import Project

pytestmark = pytest.mark.lab

LAB = "mon"
PATIENCE = 15  # seconds from a pod's readiness to its first sample
PROGRAM = '''
import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.labels import labels
from components.monitoring import Monitoring, MonitoringArgs
from components.traffic import Gateway
from infra.namespaces import namespaces

inside = pulumi.ResourceOptions(provider=k8s.Provider("cluster"))
roles = namespaces("mon", inside)
gateway = Gateway(class_name="traefik", domain="mon.ferry.test", namespace="traefik")
watching = Monitoring(
    "prometheus",
    MonitoringArgs(
        namespace=roles["monitoring"],
        models=roles["models"],
        gateway=gateway,
        callers=[roles["models"]],
        retention="7d",
        size=10,
    ),
    inside,
)
pulumi.export("url", watching.url)
pulumi.export("internalUrl", watching.internal_url)

SERVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'answers_total{version="7"} 42\\\\n')
HTTPServer(("", 8080), Metrics).serve_forever()
"""
for role in ("models", "platform"):
    traffic.allow(
        f"stub-{role}",
        namespace=roles[role],
        callers=[roles["monitoring"]],
        opts=inside,
    )
    marks = {"ferry.dev/model": "credit", "rollouts-pod-template-hash": "6d5c7"}
    k8s.core.v1.Pod(
        f"stub-{role}",
        metadata={
            "name": f"stub-{role}",
            "namespace": roles[role],
            "labels": {**labels(f"stub-{role}"), **marks},
        },
        spec={
            **hardening.pod("default"),
            "containers": [
                {
                    "name": "model",
                    "image": "docker.io/library/python:3.11-slim",
                    "command": ["python3", "-c", SERVER],
                    "ports": [{"name": "http", "container_port": 8080}],
                    "readiness_probe": {"http_get": {"path": "/", "port": "http"}},
                    "security_context": hardening.CONTAINER,
                }
            ],
        },
        opts=inside,
    )
'''


class Stack:
    """The program above on a lab of its own."""

    def __init__(self, folder: Path) -> None:
        self._kubeconfig = str(paths.state(LAB) / "kubeconfig")
        self.project = Project(folder, {"KUBECONFIG": self._kubeconfig}).program(PROGRAM)
        self.project.up()
        self.ready = time.monotonic()

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run(
            [toolchain.binary("kubectl"), f"--kubeconfig={self._kubeconfig}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What Prometheus answers, through the stack's Ingress."""
        address = f"{self.project.output('url')}/api/v1/query"
        answer = requests.get(address, params={"query": query}, timeout=5)
        answer.raise_for_status()
        return answer.json()["data"]["result"]


def lab(command: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [sys.executable, "-m", "lab", command, LAB],
        cwd=paths.repository(),
        env=environment,
        check=True,
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    lab("up")
    try:
        yield Stack(tmp_path_factory.mktemp("monitoring"))
    finally:
        lab("purge")


def test_a_models_pod_is_scraped_soon_and_tells_its_release_and_its_name(stack: Stack) -> None:
    while not (found := stack.ask("answers_total")):
        assert time.monotonic() < stack.ready + PATIENCE, stack.ask("up")
        time.sleep(0.5)
    (series,) = found
    assert series["value"][1] == "42"
    told = {"rollouts_pod_template_hash": "6d5c7", "pod": "stub-models", "version": "7"}
    assert told.items() <= series["metric"].items()


def test_a_pod_of_another_namespace_is_not_scraped_whatever_its_labels(stack: Stack) -> None:
    assert {each["metric"]["namespace"] for each in stack.ask("up")} == {"mon-models"}


def test_samples_come_every_five_seconds(stack: Stack) -> None:
    time.sleep(max(0.0, stack.ready + 40 - time.monotonic()))
    (counted,) = stack.ask("count_over_time(answers_total[20s])")
    assert 3 <= int(counted["value"][1]) <= 5


def test_its_address_inside_the_cluster_is_the_one_that_the_stack_tells(stack: Stack) -> None:
    address = f"{stack.project.output('internalUrl')}/-/healthy"
    command = f"import urllib.request as r; print(r.urlopen('{address}', timeout=5).read())"
    told = stack.kubectl(
        "exec", "stub-models", "--namespace=mon-models", "--", "python3", "-c", command
    )
    assert "Healthy" in told


def test_nobody_is_refused_what_it_needs(stack: Stack) -> None:
    inside = ("--namespace=mon-monitoring", "--all-containers", "--tail=-1")
    for workload in ("prometheus-operator", "prometheus"):
        said = stack.kubectl("logs", f"--selector=app.kubernetes.io/name={workload}", *inside)
        assert "forbidden" not in said


def test_a_preview_afterwards_finds_nothing_to_do(stack: Stack) -> None:
    assert stack.project.preview() == {}


def test_a_destroy_leaves_nothing_and_hangs_on_nothing(stack: Stack) -> None:
    stack.project.destroy()
    left = json.loads(stack.kubectl("get", "namespaces,crds,pv", "--output=json"))["items"]
    names = {each["metadata"]["name"] for each in left if each["kind"] != "PersistentVolume"}
    assert not {name for name in names if name.startswith("mon-") or "coreos" in name}
