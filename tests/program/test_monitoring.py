"""What the monitoring of a stack promises, one sentence a test."""

import hashlib
import json
from typing import Any

import pytest

from components import upstream
from components.monitoring import Monitoring, MonitoringArgs
from components.prometheus_operator import KINDS
from components.traffic import Gateway
from tests.program.recorder import ROOT, Build, Recorder
from tests.program.test_controls import POD_CONTROLS

GATEWAY = Gateway(class_name="traefik", domain="dev.ferry.test", namespace="traefik")
# As they are at upstream's tag.
DIGESTS = {
    "podmonitors": "8ce88c52c51209993511cae093089c9525f5552def88119e3f559123ee9d454b",
    "probes": "97e6e59020feb71055628ac40b14f817662bb98ca720f19a45e85ac009081cc8",
    "prometheuses": "fac555882d18023e1fb5c318ecab8f6bbcc158c9fed6abef7800da84049cd221",
    "prometheusrules": "98fd16c9ab79fba8dcd6ef62c957c98cd6546ab74ce0a4ecf09ddf2fda03020e",
    "servicemonitors": "1dae27b7189b5ce7b9ab764656c18b4c75a45cde1e6f3af6a5e84c4317628919",
}
CHANGING = {"create", "update", "patch", "delete", "deletecollection", "*"}


@pytest.fixture
def seen(build: Build, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(ROOT)
    return build(
        lambda: Monitoring(
            "prometheus",
            MonitoringArgs(
                namespace="dev-monitoring",
                models="dev-models",
                gateway=GATEWAY,
                callers=["dev-models"],
                retention="7d",
                size=10,
            ),
        )
    )


def granted(seen: Recorder, account: str) -> dict[str, list[dict[str, Any]]]:
    """By namespace, the rules that bindings give to an account."""
    rules: dict[str, list[dict[str, Any]]] = {}
    roles = {
        (each["metadata"]["namespace"], f"{name}-auto"): each["rules"]
        for name, each in named(seen, "Role").items()
    }
    for each in seen.of("RoleBinding"):
        namespace = each["metadata"]["namespace"]
        if [subject["name"] for subject in each["subjects"]] == [f"{account}-auto"]:
            found = roles[namespace, each["roleRef"]["name"]]
            rules.setdefault(namespace, []).extend(found)
    return rules


def named(seen: Recorder, kind: str) -> dict[str, dict[str, Any]]:
    return {each.name: each.inputs for each in seen.resources if each.typ.endswith(f":{kind}")}


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(what, verb) for rule in rules for what in rule["resources"] for verb in rule["verbs"]}


def test_upstreams_kinds_are_upstreams_bytes() -> None:
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


def test_every_pod_of_every_model_is_scraped_every_five_seconds(seen: Recorder) -> None:
    monitor = seen.one("PodMonitor")
    assert monitor["metadata"]["namespace"] == "dev-models"
    chosen = {"matchExpressions": [{"key": "ferry.dev/model", "operator": "Exists"}]}
    assert monitor["spec"]["selector"] == chosen
    assert monitor["spec"]["podMetricsEndpoints"] == [
        {"port": "http", "path": "/metrics", "interval": "5s"}
    ]


def test_a_sample_tells_which_release_it_comes_from(seen: Recorder) -> None:
    assert seen.one("PodMonitor")["spec"]["podTargetLabels"] == ["rollouts-pod-template-hash"]


def test_prometheus_takes_the_monitors_of_the_models_namespace_alone(seen: Recorder) -> None:
    spec = seen.one("Prometheus")["spec"]
    assert spec["podMonitorSelector"] == {}
    assert spec["podMonitorNamespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "dev-models"}
    }
    others = {"serviceMonitorSelector", "probeSelector", "scrapeConfigSelector", "ruleSelector"}
    assert not others & spec.keys()


def test_samples_are_kept_as_long_as_the_stack_says_and_never_fill_the_volume(
    seen: Recorder,
) -> None:
    spec = seen.one("Prometheus")["spec"]
    claim = spec["storage"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"]
    assert (spec["retention"], spec["retentionSize"], claim) == ("7d", "9GB", "10Gi")
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"


def test_an_update_waits_until_prometheus_answers(seen: Recorder) -> None:
    annotations = seen.one("Prometheus")["metadata"]["annotations"]
    assert annotations == {"pulumi.com/waitFor": "condition=Available"}


def test_the_version_that_the_operator_is_told_is_the_images(seen: Recorder) -> None:
    spec = seen.one("Prometheus")["spec"]
    assert spec["image"].endswith(f":{spec['version']}")


@pytest.mark.parametrize("control", sorted(set(POD_CONTROLS) - {"46 mounts no token"}))
def test_the_operators_pod_keeps_every_control_but_for_the_token_it_works_with(
    seen: Recorder, control: str
) -> None:
    ((_, pod),) = seen.pods()
    assert POD_CONTROLS[control](pod["spec"])


def test_prometheus_runs_as_nobody(seen: Recorder) -> None:
    context = seen.one("Prometheus")["spec"]["securityContext"]
    assert context["runAsNonRoot"]
    assert min(context["runAsUser"], context["runAsGroup"]) > 10000
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_nobody_is_given_rights_beyond_one_namespace(seen: Recorder) -> None:
    assert seen.of("ClusterRole") == seen.of("ClusterRoleBinding") == []
    assert set(granted(seen, "prometheus")) == {"dev-models"}
    assert set(granted(seen, "prometheus-operator")) == {"dev-models", "dev-monitoring"}


def test_prometheus_may_look_for_the_models_pods_and_no_more(seen: Recorder) -> None:
    rules = granted(seen, "prometheus")["dev-models"]
    assert rights(rules) == {("pods", verb) for verb in ("get", "list", "watch")}


def test_the_operator_changes_nothing_of_the_models_and_reads_no_secret_of_theirs(
    seen: Recorder,
) -> None:
    given = rights(granted(seen, "prometheus-operator")["dev-models"])
    assert not {verb for _, verb in given} & CHANGING
    assert {what for what, _ in given} == {
        "namespaces", "podmonitors", "servicemonitors", "probes", "prometheusrules",
    }  # fmt: skip


def test_the_operator_makes_no_pods_itself_and_gives_no_rights(seen: Recorder) -> None:
    given = rights(granted(seen, "prometheus-operator")["dev-monitoring"])
    assert ("pods", "create") not in given
    assert not {what for what, _ in given} & {"roles", "rolebindings", "serviceaccounts"}
    assert not any("*" in pair for pair in given)


def test_the_operator_looks_at_two_namespaces(seen: Recorder) -> None:
    ((_, pod),) = seen.pods()
    (container,) = pod["spec"]["containers"]
    assert "--namespaces=dev-monitoring,dev-models" in container["args"]
    assert "--prometheus-instance-namespaces=dev-monitoring" in container["args"]


def test_prometheus_is_reached_by_the_gateway_and_those_that_judge(seen: Recorder) -> None:
    policy = seen.one("NetworkPolicy", "prometheus")["spec"]
    # The operator's own label for its pods, and ours.
    assert policy["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/part-of": "ferry",
    }
    assert seen.one("Prometheus")["spec"]["podMetadata"]["labels"].items() >= {
        ("app.kubernetes.io/part-of", "ferry")
    }
    (rule,) = policy["ingress"]
    callers = {json.dumps(peer["namespaceSelector"]["matchLabels"]) for peer in rule["from"]}
    assert {json.loads(each)["kubernetes.io/metadata.name"] for each in callers} == {
        "traefik",
        "dev-models",
    }
    assert seen.one("NetworkPolicy", "prometheus-operator")["spec"]["ingress"] == []


def test_prometheus_reaches_the_models_and_the_api_server(seen: Recorder) -> None:
    models, server = seen.one("NetworkPolicy", "prometheus")["spec"]["egress"]
    (peer,) = models["to"]
    chosen = peer["namespaceSelector"]["matchLabels"]
    assert chosen == {"kubernetes.io/metadata.name": "dev-models"}
    assert models["ports"] == [{"port": "http"}]
    assert "to" not in server
    assert {port["port"] for port in server["ports"]} == {443, 6443}


def test_it_is_found_at_a_host_of_the_stacks_and_inside_at_a_name(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pulumi

    monkeypatch.chdir(ROOT)

    def program() -> None:
        made = Monitoring(
            "prometheus",
            MonitoringArgs(
                namespace="dev-monitoring",
                models="dev-models",
                gateway=GATEWAY,
                callers=[],
                retention="7d",
                size=10,
            ),
        )
        pulumi.export("url", made.url)
        pulumi.export("internal", made.internal_url)

    outputs = build(program).outputs
    assert outputs == {
        "url": "http://prometheus.dev.ferry.test",
        "internal": "http://prometheus.dev-monitoring:9090",
    }
