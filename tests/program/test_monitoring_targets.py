"""Whom a stack's Prometheus scrapes, and how little it takes to be scraped."""

import json
import re
from typing import Any

import pytest

from tests.program.monitored import (
    CHANGING,
    HERE,
    PROMETHEUS,
    ROLES,
    egress,
    granted,
    named,
    rights,
    watched,
)
from tests.program.recorder import ROOT, Build, Recorder

EXPORTERS = ("blackbox-exporter", "kube-state-metrics", "node-exporter")


@pytest.fixture
def seen(build: Build, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(ROOT)
    return watched(build)


def monitor(seen: Recorder, name: str) -> dict[str, Any]:
    return seen.one("PodMonitor", name)["spec"]


def endpoint(seen: Recorder, name: str) -> dict[str, Any]:
    (only,) = monitor(seen, name)["podMetricsEndpoints"]
    return only


def job(seen: Recorder, name: str) -> str | None:
    found = [each for each in endpoint(seen, name)["relabelings"] if each["targetLabel"] == "job"]
    return found[0]["replacement"] if found else None


def exists(label: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": label, "operator": "Exists"}]}


@pytest.mark.parametrize(
    ("name", "namespace", "port", "interval"),
    [
        ("models", "dev-models", "http", "5s"),
        ("watches", "dev-jobs", "http", None),
        ("registry", "dev-platform", "debug", None),
        ("argo-rollouts", "dev-platform", "metrics", None),
        ("monitoring", HERE, "http", None),
        ("kube-state-metrics", HERE, "http", None),
    ],
)
def test_each_is_scraped_in_its_namespace_at_its_port(
    seen: Recorder, name: str, namespace: str, port: str, interval: str | None
) -> None:
    assert monitor(seen, name)["namespaceSelector"] == {"matchNames": [namespace]}
    found = endpoint(seen, name)
    assert (found["port"], found["path"], found.get("interval")) == (port, "/metrics", interval)
    assert monitor(seen, name)["jobLabel"] == "app.kubernetes.io/name"


def test_nobody_else_is_scraped(seen: Recorder) -> None:
    assert named(seen, "PodMonitor").keys() == {
        "models", "watches", "registry", "argo-rollouts", "monitoring", "kube-state-metrics",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "mark"), [("models", "model"), ("watches", "watch")])
def test_models_and_watches_are_found_by_a_mark_whatever_their_names(
    seen: Recorder, name: str, mark: str
) -> None:
    assert monitor(seen, name)["selector"] == exists(f"ferry.dev/{mark}")
    assert job(seen, name) == {"models": "models", "watches": "watch"}[name]


def test_a_sample_of_a_models_tells_which_release_it_comes_from(seen: Recorder) -> None:
    assert monitor(seen, "models")["podTargetLabels"] == ["rollouts-pod-template-hash"]


def test_all_that_watches_is_watched_itself(seen: Recorder) -> None:
    among, alone = (
        monitor(seen, name)["selector"]["matchExpressions"][0]["values"]
        for name in ("monitoring", "kube-state-metrics")
    )
    made = {name.partition(" ")[2] for name, _ in seen.pods()} | {"prometheus", "alertmanager"}
    assert {*among, *alone} == made


def test_what_speaks_for_other_pods_keeps_their_names(seen: Recorder) -> None:
    speaks = {name for name in named(seen, "PodMonitor") if "honorLabels" in endpoint(seen, name)}
    assert speaks == {"kube-state-metrics", "registry", "argo-rollouts"}


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_answers_nobody_but_prometheus(seen: Recorder, name: str) -> None:
    assert seen.one("NetworkPolicy", name)["spec"]["ingress"] == []
    (rule,) = seen.one("NetworkPolicy", f"{name}-from-prometheus")["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "prometheus"
    assert "namespaceSelector" not in peer
    assert rule["ports"] == [{"port": "http"}]


def test_node_exporter_has_nothing_of_the_node_and_runs_on_each(seen: Recorder) -> None:
    pod = seen.one("DaemonSet")["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert [set(each) - {"name"} for each in pod["volumes"]] == [{"emptyDir"}]
    assert seen.one("NetworkPolicy", "node-exporter")["spec"]["egress"] == []


def test_node_exporter_tells_of_the_two_disks_that_a_kubelet_evicts_for(seen: Recorder) -> None:
    (container,) = seen.one("DaemonSet")["spec"]["template"]["spec"]["containers"]
    flags = dict(each.partition("=")[::2] for each in container["args"])
    wanted = flags["--collector.filesystem.mount-points-include"]
    assert [
        place for place in ("/", "/tmp", "/proc", "/etc/hosts") if re.search(wanted, place)
    ] == [
        "/",
        "/tmp",
    ]
    ignored = flags["--collector.filesystem.fs-types-exclude"]
    assert not re.search(ignored, "overlay")
    assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}


def test_kube_state_metrics_lists_what_alerts_need_in_the_stacks_namespaces_alone(
    seen: Recorder,
) -> None:
    given = granted(seen, "kube-state-metrics")
    assert given.keys() == set(ROLES.values())
    pod = dict(seen.pods())["Deployment kube-state-metrics"]["spec"]["containers"][0]
    flags = dict(each.partition("=")[::2] for each in pod["args"])
    assert flags["--namespaces"].split(",") == sorted(ROLES.values())
    kinds = set(flags["--resources"].split(","))
    assert {"pods", "jobs", "cronjobs", "persistentvolumeclaims"} <= kinds
    assert not kinds & {"secrets", "configmaps"}
    for rules in given.values():
        assert rights(rules) == {(kind, verb) for kind in kinds for verb in ("list", "watch")}


def test_an_address_is_asked_for_through_the_prober_under_its_jobs_name(
    seen: Recorder,
) -> None:
    probe = seen.one("Probe", "probe-mlflow")["spec"]
    assert probe["prober"] == {"url": f"blackbox-exporter.{HERE}.svc:80"}
    assert (probe["jobName"], probe["module"]) == ("mlflow", "http")
    asked = ["http://mlflow.dev-platform.svc/health"]
    assert probe["targets"]["staticConfig"] == {"static": asked}


def test_the_prober_reaches_the_platforms_pods_and_the_gateway_wherever_it_is(
    seen: Recorder,
) -> None:
    assert egress(seen, "blackbox-exporter") == [
        ("dev-platform", ["http"]),
        ("traefik", []),
        (None, [80, 443]),
        (None, [443, 6443]),
    ]


def test_the_clusters_own_certificate_is_verified_and_its_end_known(seen: Recorder) -> None:
    probe = seen.one("Probe", "probe-api-server")["spec"]
    modules = json.loads(seen.one("ConfigMap", "blackbox-exporter")["data"]["config.yml"])
    http = modules["modules"][probe["module"]]["http"]
    assert http["fail_if_not_ssl"] is True
    assert http["tls_config"] == {"ca_file": "/etc/cluster/ca.crt"}
    pod = dict(seen.pods())["Deployment blackbox-exporter"]["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == "cluster")
    assert volume["configMap"] == {"name": "kube-root-ca.crt"}
    assert probe["targets"]["staticConfig"]["static"][0].startswith("https://")


def test_every_module_that_a_probe_names_is_there(seen: Recorder) -> None:
    modules = json.loads(seen.one("ConfigMap", "blackbox-exporter")["data"]["config.yml"])
    used = {each["spec"]["module"] for each in seen.of("Probe")}
    assert used == modules["modules"].keys()


def jobs_of_nodes(seen: Recorder) -> list[dict[str, Any]]:
    named_ = seen.one(PROMETHEUS)["spec"]["additionalScrapeConfigs"]
    assert named_["name"] == "prometheus-kubelets-auto"
    return json.loads(seen.one("Secret", "prometheus-kubelets")["stringData"][named_["key"]])


def test_kubelets_are_asked_over_verified_tls_with_prometheus_own_token(seen: Recorder) -> None:
    for each in jobs_of_nodes(seen):
        assert each["scheme"] == "https"
        assert each["tls_config"].keys() == {"ca_file"}
        assert each["authorization"].keys() == {"credentials_file"}
        assert each["kubernetes_sd_configs"] == [{"role": "node"}]


def test_of_a_node_the_volumes_and_containers_of_the_stacks_namespaces_are_kept(
    seen: Recorder,
) -> None:
    kept = {
        each["job_name"]: [rule["regex"] for rule in each["metric_relabel_configs"]]
        for each in jobs_of_nodes(seen)
    }
    for names, namespaces in kept.values():
        assert [place for place in (*ROLES.values(), "kube-system", "dev-modelsx")
                if re.fullmatch(namespaces, place)] == list(ROLES.values())  # fmt: skip
        assert not re.fullmatch(names, "kubelet_http_requests_total")
    for name in ("available_bytes", "capacity_bytes", "used_bytes", "inodes_free", "inodes"):
        assert re.fullmatch(kept["kubelet"][0], f"kubelet_volume_stats_{name}")
    for name in ("cpu_usage_seconds_total", "memory_working_set_bytes"):
        assert re.fullmatch(kept["kubelet-resources"][0], f"container_{name}")


def test_nothing_that_is_scraped_may_change_anything(seen: Recorder) -> None:
    for name in EXPORTERS:
        for rules in granted(seen, name).values():
            assert not {verb for _, verb in rights(rules)} & CHANGING
