"""How a rule becomes a message: Prometheus, its Alertmanager, and the secrets of its receivers."""

import json

import pytest

from infra.settings import parse
from monitoring import routes
from tests.program.monitored import ALERTMANAGER, HERE, PROMETHEUS, RULES, egress, program, watched
from tests.program.recorder import ROOT, Build, Recorder


@pytest.fixture
def seen(build: Build, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(ROOT)
    return watched(build)


def test_rules_are_given_to_prometheus_as_they_are(seen: Recorder) -> None:
    assert seen.one("PrometheusRule")["spec"] == {"groups": RULES}


def test_without_rules_there_is_no_object_of_them(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert build(program(rules=())).of("PrometheusRule") == []


def test_alerts_go_to_the_alertmanager_beside_and_say_which_environment_they_are_of(
    seen: Recorder,
) -> None:
    spec = seen.one(PROMETHEUS)["spec"]
    (told,) = spec["alerting"]["alertmanagers"]
    service = seen.one("Service", "alertmanager")
    assert (told["name"], told["namespace"]) == (service["metadata"]["name"], HERE)
    assert told["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert spec["externalLabels"] == {"environment": "dev"}
    assert spec["prometheusExternalLabelName"] == spec["replicaExternalLabelName"] == ""


def test_alertmanager_reads_its_configuration_and_mounts_the_secrets_that_it_names(
    seen: Recorder,
) -> None:
    spec = seen.one(ALERTMANAGER)["spec"]
    assert spec["secrets"] == ["slack-hook"]
    assert spec["configSecret"] == "alertmanager-auto"
    written = seen.one("Secret", "alertmanager")["stringData"]["alertmanager.yaml"]
    assert json.loads(written) == {"route": {"receiver": "slack"}}


def test_alertmanager_calls_no_api_and_is_reached_by_people_and_prometheus(
    seen: Recorder,
) -> None:
    spec = seen.one(ALERTMANAGER)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "alertmanager-auto"
    (rule,) = seen.one("NetworkPolicy", "alertmanager")["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "traefik"}
    admitted = seen.one("NetworkPolicy", "alertmanager-from-prometheus")["spec"]["ingress"]
    assert len(admitted) == 1


@pytest.mark.parametrize(("outside", "ways"), [([443, 587], [(None, [443, 587])]), ([], [])])
def test_alertmanager_goes_out_to_its_receivers_ports_and_nowhere_without_them(
    build: Build, monkeypatch: pytest.MonkeyPatch, outside: list[int], ways: list
) -> None:
    monkeypatch.chdir(ROOT)
    assert egress(build(program(outside=outside)), "alertmanager") == ways


def test_a_stacks_receivers_become_routes() -> None:
    text = (ROOT / "Pulumi.dev.yaml").read_text()
    named = (
        "    monitoring:\n"
        "      receivers:\n"
        "        slack: slack-hook\n"
        "        email: {server: 'smtp.example.org:587', sender: ferry@example.org,\n"
        "                to: team@example.org, username: ferry, secret: smtp}\n"
    )
    wanted = parse(text.replace("    models:\n", f"{named}    models:\n", 1), stack="dev")
    from infra.monitoring import receivers

    found = receivers(wanted.platform.monitoring.receivers)
    assert found == routes.Receivers(
        slack="slack-hook",
        email=routes.Email(
            server="smtp.example.org:587",
            sender="ferry@example.org",
            to="team@example.org",
            username="ferry",
            secret="smtp",
        ),
    )


def test_a_stack_that_names_no_receiver_tells_nobody_and_says_so(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    routed = routes.configuration(routes.Receivers())
    seen = build(program(routes=routed, secrets=[], outside=[]))
    written = json.loads(seen.one("Secret", "alertmanager")["stringData"]["alertmanager.yaml"])
    assert written["route"]["receiver"] == "null"
    assert seen.one(ALERTMANAGER)["spec"]["secrets"] == []
