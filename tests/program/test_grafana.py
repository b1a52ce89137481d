"""What the stack's Grafana promises, one sentence a test."""

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.grafana import Grafana, GrafanaArgs
from components.traffic import Gateway
from infra.program import main
from monitoring import dashboards
from policy.pack import violations
from policy.rule import Resource
from preview.record import configure
from tests.program.recorder import ROOT, Build, Platform, Recorder

SCREENS = {"ferry-model.json": '{"title": "Model"}', "ferry-cost.json": '{"title": "Cost"}'}


@pytest.fixture
def seen(build: Build) -> Recorder:
    return build(made)


def made() -> Grafana:
    return Grafana(
        "grafana",
        GrafanaArgs(
            namespace="dev-monitoring",
            gateway=Gateway(class_name="traefik", domain="dev.ferry.test", namespace="traefik"),
            prometheus_url="http://prometheus.dev-monitoring:9090",
            dashboards=SCREENS,
        ),
    )


def container(seen: Recorder) -> dict[str, Any]:
    (only,) = seen.one("Deployment")["spec"]["template"]["spec"]["containers"]
    return only


def environment(seen: Recorder) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(seen)["env"]}


def test_it_keeps_every_rule_of_the_platform(seen: Recorder) -> None:
    resources = [Resource.read(each) for each in seen.registered]
    assert [str(each) for each in violations(resources)] == []


def test_its_only_source_is_the_stacks_prometheus_and_nobody_edits_it(seen: Recorder) -> None:
    content = json.loads(seen.one("ConfigMap", "grafana-source")["data"]["prometheus.yaml"])
    (source,) = content["datasources"]
    assert source["url"] == "http://prometheus.dev-monitoring:9090"
    assert (source["type"], source["uid"]) == ("prometheus", "prometheus")
    assert source["editable"] is False


def test_its_screens_are_files_that_nobody_edits_there(seen: Recorder) -> None:
    assert seen.one("ConfigMap", "grafana-screens")["data"] == SCREENS
    provider = seen.one("ConfigMap", "grafana-provider")["data"]["ferry.yaml"]
    assert "allowUiUpdates: false" in provider
    folder = provider.split("path: ")[1].split("}")[0]
    assert folder in [each["mountPath"] for each in container(seen)["volumeMounts"]]


def test_a_changed_screen_is_another_object_and_so_another_pod(seen: Recorder) -> None:
    assert all(each["immutable"] is True for each in seen.of("ConfigMap"))
    assert all("name" not in each["metadata"] for each in seen.of("ConfigMap"))


def test_its_administrator_is_generated_and_read_from_a_file(seen: Recorder) -> None:
    password = seen.one("Secret")["stringData"]["password"]
    assert seen.one("RandomPassword")["length"] >= 32
    place = environment(seen)["GF_SECURITY_ADMIN_PASSWORD__FILE"]
    mounted = {each["mountPath"] for each in container(seen)["volumeMounts"]}
    assert place.rpartition("/")[0] in mounted
    assert password not in json.dumps(seen.one("Deployment"))


def test_nobody_gets_in_without_a_login_and_it_tells_nobody_anything(seen: Recorder) -> None:
    told = environment(seen)
    assert told["GF_AUTH_ANONYMOUS_ENABLED"] == told["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert told["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    assert told["GF_ANALYTICS_CHECK_FOR_UPDATES"] == "false"
    assert told["GF_SNAPSHOTS_EXTERNAL_ENABLED"] == "false"


def test_it_is_reached_through_the_gateway_and_reaches_prometheus_alone(seen: Recorder) -> None:
    spec = seen.one("NetworkPolicy")["spec"]
    ((caller,),) = (each["from"] for each in spec["ingress"])
    chosen = caller["namespaceSelector"]["matchLabels"]
    assert chosen == {"kubernetes.io/metadata.name": "traefik"}
    ((target,),) = (each["to"] for each in spec["egress"])
    assert target["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "prometheus"


def test_it_is_found_at_a_host_of_the_stacks(build: Build) -> None:
    import pulumi

    outputs = build(lambda: pulumi.export("url", made().url)).outputs
    assert outputs == {"url": "http://grafana.dev.ferry.test"}


@pytest.fixture
def asked(build: Build, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The stack dev with `monitoring: {grafana: true}`."""
    monkeypatch.chdir(ROOT)
    text = (ROOT / "Pulumi.dev.yaml").read_text()
    platform = YAML(typ="safe", pure=True).load(text)["config"]["ferry:platform"]
    platform["monitoring"] = {**platform.get("monitoring", {}), "grafana": True}
    configure("dev", ROOT, platform=platform)
    return build(main)


def test_a_stack_that_asks_for_it_has_one_and_keeps_every_rule(asked: Recorder) -> None:
    assert asked.outputs["grafana"] == {"url": "http://grafana.dev.ferry.test"}
    assert asked.one("ConfigMap", "grafana-screens")["data"] == dashboards.texts()
    resources = [Resource.read(each) for each in asked.registered]
    assert [str(each) for each in violations(resources)] == []


def test_its_login_is_told_as_a_secret_alone(asked: Recorder) -> None:
    assert set(asked.outputs["credentials"]["grafana"]) == {"username", "password"}
    assert "credentials" in asked.secret_outputs


def test_prometheus_lets_it_in(asked: Recorder) -> None:
    (rule,) = asked.one("NetworkPolicy", "prometheus")["spec"]["ingress"]
    callers = [each["namespaceSelector"]["matchLabels"] for each in rule["from"]]
    assert {"kubernetes.io/metadata.name": "dev-monitoring"} in callers


def test_a_stack_that_does_not_ask_has_none(platform: Platform) -> None:
    seen = platform("dev", {})
    assert "grafana" not in seen.outputs
    assert not [each for each in seen.of("Deployment") if each["metadata"]["name"] == "grafana"]
