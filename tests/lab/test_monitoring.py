"""A real Prometheus and Alertmanager of a stack: who is scraped, who is told, and what is left."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import paths
from tests.lab.monitored import LAB, Stack, eventually

pytestmark = pytest.mark.lab

PATIENCE = 15  # seconds from a pod's readiness to its first sample
SOON = 60  # the same of everything that is declared, and from a fault to all who are told
SCRAPED = {
    *("alertmanager", "blackbox-exporter", "kube-state-metrics", "node-exporter"),
    *("prometheus", "prometheus-operator"),
    *("kubelet", "kubelet-resources", "models", "registry", "watch"),
}
PROBED = {"api-server", "models", "object-store", "registry"}


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
    eventually(
        lambda: stack.ask('answers_total{job="models"}'),
        stack.ready + PATIENCE,
        lambda: stack.ask("up"),
    )
    (series,) = stack.ask('answers_total{job="models"}')
    assert series["value"][1] == "42"
    told = {"rollouts_pod_template_hash": "6d5c7", "pod": "stub-models", "version": "7"}
    assert told.items() <= series["metric"].items()


def test_everything_that_is_declared_is_up_within_a_minute(stack: Stack) -> None:
    def states(metric: str) -> set[tuple[str, str]]:
        return {(each["metric"]["job"], each["value"][1]) for each in stack.ask(metric)}

    wanted = {(job, "1") for job in SCRAPED | PROBED}
    eventually(lambda: states("up") == wanted, stack.ready + SOON, lambda: states("up"))
    answers = {(job, "1") for job in PROBED}
    eventually(
        lambda: states("probe_success") == answers,
        stack.ready + SOON,
        lambda: states("probe_success"),
    )


def test_a_pod_of_another_namespace_is_not_scraped_whatever_its_labels(stack: Stack) -> None:
    scraped = {each["metric"].get("pod") for each in stack.ask("up")}
    assert "stub-models" in scraped
    assert "stub-platform" not in scraped


@pytest.mark.parametrize(
    "query",
    [
        'kube_pod_container_status_restarts_total{namespace="mon-models"}',
        'kube_pod_status_ready{namespace="mon-platform", condition="true"} == 1',
        'kube_job_status_failed{namespace="mon-jobs", job_name="idle"}',
        'kubelet_volume_stats_available_bytes{namespace="mon-platform"} > 1e6',
        'container_memory_working_set_bytes{namespace="mon-monitoring", container!=""} > 1e6',
        'container_cpu_usage_seconds_total{namespace="mon-models"}',
        'probe_ssl_earliest_cert_expiry{job="api-server"} - time() > 86400',
        'node_filesystem_avail_bytes{mountpoint="/tmp"} > 1e6',
        'node_filesystem_size_bytes{mountpoint="/"} > 1e6',
        "node_memory_MemAvailable_bytes > 1e6",
        'node_cpu_seconds_total{mode="idle"} > 0',
        "registry_storage_action_seconds_count or registry_http_requests_total",
    ],
)
def test_what_alerts_are_made_of_is_there(stack: Stack, query: str) -> None:
    if "kube_job" in query:
        image = "--image=docker.io/library/python:3.11-slim"
        stack.kubectl("create", "job", "idle", image, "--namespace=mon-jobs", "--", "true")
    eventually(lambda: stack.ask(query), time.monotonic() + SOON, lambda: query)


def test_of_the_nodes_samples_only_those_of_the_stacks_namespaces_are_kept(stack: Stack) -> None:
    for job in ("kubelet", "kubelet-resources"):
        found = stack.ask(f'count by (namespace) ({{job="{job}", __name__=~"k.+_.+_.+|con.+"}})')
        assert found
        assert all(each["metric"]["namespace"].startswith("mon-") for each in found)


def test_samples_of_models_come_every_five_seconds(stack: Stack) -> None:
    time.sleep(max(0.0, stack.ready + 40 - time.monotonic()))
    (counted,) = stack.ask('count_over_time(answers_total{job="models"}[20s])')
    assert 3 <= int(counted["value"][1]) <= 5


def told(messages: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The receiver, the state and the alert of each message, sorted."""
    return sorted(_told(each["receiver"], each["body"]) for each in messages)


def _told(receiver: str, body: dict[str, Any]) -> tuple[str, str, str]:
    match receiver:
        case "pagerduty":
            assert body["routing_key"] == "a routing key"
            title = body.get("payload", {}).get("summary", "")
            state = {"trigger": "FIRING", "resolve": "RESOLVED"}[body["event_action"]]
            return receiver, state, title.split()[1] if title else "BrokenCritical"
        case "slack":
            title = body["attachments"][0]["title"]
        case _:
            assert body["to"] == "team@example.org"
            title = body["subject"]
    state, alert, environment = title.split()
    assert environment == LAB
    return receiver, state.strip("[]"), alert


def test_an_alert_reaches_one_receiver_by_its_severity_and_its_end_the_same(
    stack: Stack,
) -> None:
    assert stack.received() == []
    alerts = {"email": "BrokenInfo", "pagerduty": "BrokenCritical", "slack": "BrokenWarning"}
    firing = [(receiver, "FIRING", alert) for receiver, alert in alerts.items()]
    ended = [(receiver, "RESOLVED", alert) for receiver, alert in alerts.items()]
    stack.breaks(True)
    began = time.monotonic()
    eventually(lambda: len(stack.received()) >= 3, began + SOON, stack.received)
    time.sleep(5)  # for one that would come twice
    assert told(stack.received()) == sorted(firing)
    stack.breaks(False)
    began = time.monotonic()
    eventually(lambda: len(stack.received()) >= 6, began + SOON, stack.received)
    time.sleep(5)
    assert told(stack.received()) == sorted(firing + ended)


def test_their_addresses_are_those_that_the_stack_tells(stack: Stack) -> None:
    inside = f"{stack.project.output('internalUrl')}/-/healthy"
    code = f"import urllib.request as r; print(r.urlopen('{inside}', timeout=5).read())"
    assert "Healthy" in stack.python("stub-models", "models", code)
    outside = f"{stack.project.output('alertmanagerUrl')}/-/healthy"
    code = f"import urllib.request as r; print(r.urlopen('{outside}', timeout=5).status)"
    assert stack.python("stub-models", "models", code).strip() == "200"


def test_nobody_is_refused_what_it_needs(stack: Stack) -> None:
    pods = stack.kubectl("get", "pods", "--namespace=mon-monitoring", "--output=name").split()
    assert len(pods) == 6
    for pod in pods:
        said = stack.kubectl(
            "logs", pod, "--namespace=mon-monitoring", "--all-containers", "--tail=-1"
        )
        assert "forbidden" not in said.lower(), pod


def test_a_preview_afterwards_finds_nothing_to_do(stack: Stack) -> None:
    assert stack.project.preview() == {}


def test_a_destroy_leaves_nothing_and_hangs_on_nothing(stack: Stack) -> None:
    stack.project.destroy()
    kinds = "namespaces,crds,clusterroles,clusterrolebindings,pv"
    left = json.loads(stack.kubectl("get", kinds, "--output=json"))["items"]
    names = {each["metadata"]["name"] for each in left if each["kind"] != "PersistentVolume"}
    ours = ("mon-", "prometheus", "alertmanager", "kube-state-metrics")
    assert not {name for name in names if name.startswith(ours) or "coreos" in name}
