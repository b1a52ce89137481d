"""What the Prometheus of a stack and its operator promise, one sentence a test."""

import hashlib
import json

import pulumi
import pytest

from components import upstream
from components.prometheus_operator import KINDS
from tests.program.monitored import (
    ALERTMANAGER,
    CHANGING,
    HERE,
    PROMETHEUS,
    ROLES,
    egress,
    granted,
    program,
    rights,
    watched,
)
from tests.program.recorder import ROOT, Build, Recorder
from tests.program.test_controls import POD_CONTROLS

# As they are at upstream's tag, without descriptions: see SOURCE.md beside them.
DIGESTS = {
    "alertmanagerconfigs": "7a97feaa857cf941def06ef38f0c1b9ae96c4b86790492f1682adcfa37ad0141",
    "alertmanagers": "6d8d567401f5a0b12be6dfc5eb2613e41dbe8ad6522a6e1cefe970ba886bbbe9",
    "podmonitors": "c923f3926f278eed9a0fe3ff3a444e56bd3ff5c9e5c3394184d64ed4895cd8ed",
    "probes": "1937ddef9843ff7b37ac4ceb47484e7385dc271056653a8d8cf8381192c165a9",
    "prometheuses": "a23f6fd19b863c30a413d455137a0aa7e9835e9324fcce943ac2bd6e061e859f",
    "prometheusrules": "008917409036dfd3e9b922f0efe1009ade4cb18f567e7710e326f64acd3512da",
    "servicemonitors": "251d77c8140cc7e98e644b9de972161d68a1e0e79806da6173d254da7ca2652c",
}
LOOKING = ("get", "list", "watch")


@pytest.fixture
def seen(build: Build, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(ROOT)
    return watched(build)


def test_the_definitions_are_those_of_the_operators_tag() -> None:
    found = {
        file.stem.removeprefix("monitoring.coreos.com_"): hashlib.sha256(
            file.read_bytes()
        ).hexdigest()
        for file in (upstream.FOLDER / KINDS).glob("*.yaml")
    }
    assert found == DIGESTS


def test_kinds_are_read_from_the_project_and_under_the_same_path_everywhere(
    seen: Recorder,
) -> None:
    files = seen.one("ConfigGroup")["files"]
    assert len(files) == len(DIGESTS)
    assert all(file.startswith(f"components/upstream/{KINDS}/") for file in files)


def test_prometheus_takes_what_is_beside_it_and_nothing_from_elsewhere(seen: Recorder) -> None:
    spec = seen.one(PROMETHEUS)["spec"]
    for kind in ("podMonitor", "probe", "rule"):
        assert spec[f"{kind}Selector"] == {}
        assert f"{kind}NamespaceSelector" not in spec
    assert not {"serviceMonitorSelector", "scrapeConfigSelector"} & spec.keys()
    for kind in ("PodMonitor", "Probe", "PrometheusRule"):
        assert {each["metadata"]["namespace"] for each in seen.of(kind)} == {HERE}


def test_samples_are_kept_as_long_as_the_stack_says_and_never_fill_the_volume(
    seen: Recorder,
) -> None:
    spec = seen.one(PROMETHEUS)["spec"]
    claim = spec["storage"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"]
    assert (spec["retention"], spec["retentionSize"], claim) == ("7d", "9GB", "10Gi")


@pytest.mark.parametrize("kind", [PROMETHEUS, ALERTMANAGER], ids=["prometheus", "alertmanager"])
def test_what_the_operator_makes_is_waited_for_runs_as_nobody_and_leaves_no_volume(
    seen: Recorder, kind: str
) -> None:
    made = seen.one(kind)
    assert made["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Available"}
    spec = made["spec"]
    assert spec["image"].endswith(f":{spec['version']}")
    context = spec["securityContext"]
    assert context["runAsNonRoot"]
    assert min(context["runAsUser"], context["runAsGroup"]) > 10000
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
    assert {"cpu", "memory", "ephemeral-storage"} <= spec["resources"]["limits"].keys()
    assert spec["podMetadata"]["labels"]["app.kubernetes.io/part-of"] == "ferry"


@pytest.mark.parametrize("control", sorted(set(POD_CONTROLS) - {"46 mounts no token"}))
def test_every_pod_of_its_keeps_every_control_but_for_the_tokens_that_two_work_with(
    seen: Recorder, control: str
) -> None:
    pods = dict(seen.pods())
    assert {name for name, pod in pods.items() if not POD_CONTROLS[control](pod["spec"])} == set()
    tokens = {name for name, pod in pods.items() if pod["spec"]["automountServiceAccountToken"]}
    assert tokens == {"Deployment prometheus-operator", "Deployment kube-state-metrics"}


def test_prometheus_may_look_for_pods_find_its_alertmanager_and_read_nodes_metrics(
    seen: Recorder,
) -> None:
    given = granted(seen, "prometheus")
    assert given.keys() == set(ROLES.values())
    pods = {("pods", verb) for verb in LOOKING}
    own = {(what, verb) for what in ("services", "endpointslices") for verb in LOOKING}
    for namespace, rules in given.items():
        assert rights(rules) == (pods | own if namespace == HERE else pods)
    cluster = rights(seen.one("ClusterRole")["rules"])
    assert cluster == {("nodes", verb) for verb in LOOKING} | {("nodes/metrics", "get")}
    (subject,) = seen.one("ClusterRoleBinding")["subjects"]
    assert (subject["name"], subject["namespace"]) == ("prometheus-auto", HERE)


def test_the_operator_sees_one_namespace_makes_no_pods_itself_and_gives_no_rights(
    seen: Recorder,
) -> None:
    given = granted(seen, "prometheus-operator")
    assert given.keys() == {HERE}
    allowed = rights(given[HERE])
    assert ("pods", "create") not in allowed
    assert not {what for what, _ in allowed} & {"roles", "rolebindings", "serviceaccounts"}
    assert not any("*" in pair for pair in allowed)
    monitors = {"alertmanagerconfigs", "podmonitors", "probes", "prometheusrules"}
    assert not {verb for what, verb in allowed if what in monitors} & CHANGING
    pod = dict(seen.pods())["Deployment prometheus-operator"]
    assert f"--namespaces={HERE}" in pod["spec"]["containers"][0]["args"]


def test_prometheus_is_reached_by_the_gateway_and_those_that_judge(seen: Recorder) -> None:
    policy = seen.one("NetworkPolicy", "prometheus")["spec"]
    # The operator's own label for its pods, and ours.
    assert policy["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/part-of": "ferry",
    }
    (rule,) = policy["ingress"]
    callers = {json.dumps(peer["namespaceSelector"]["matchLabels"]) for peer in rule["from"]}
    assert {json.loads(each)["kubernetes.io/metadata.name"] for each in callers} == {
        "traefik",
        "dev-models",
    }


def test_prometheus_reaches_what_it_scrapes_whom_it_tells_the_kubelets_and_the_api_server(
    seen: Recorder,
) -> None:
    ways = egress(seen, "prometheus")
    for way in [
        ("dev-models", ["http"]),
        ("dev-jobs", ["http"]),
        ("dev-platform", ["debug"]),
        ("dev-platform", ["metrics"]),
        (HERE, ["http"]),
    ]:
        assert way in ways
    assert [ports for place, ports in ways if place is None] == [[10250], [443, 6443]]
    assert {place for place, _ in ways} == {*ROLES.values(), None}


def test_it_is_found_at_a_host_of_the_stacks_and_inside_at_a_name(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)

    def exporting() -> None:
        made = program()()
        pulumi.export("url", made.url)
        pulumi.export("internal", made.internal_url)
        pulumi.export("alertmanager", made.alertmanager_url)

    assert build(exporting).outputs == {
        "url": "http://prometheus.dev.ferry.test",
        "internal": "http://prometheus.dev-monitoring:9090",
        "alertmanager": "http://alertmanager.dev.ferry.test",
    }
