"""Which receiver an alert reaches, for every set of receivers that a stack may name."""

import itertools
import json
import re
from typing import Any

import pytest

from monitoring.routes import NOBODY, Email, Receivers, configuration

EMAIL = Email(
    server="smtp.example.org:587",
    sender="ferry@example.org",
    to="team@example.org",
    username="ferry",
    secret="smtp",
)
NAMED: dict[str, Any] = {"slack": "slack-hook", "pagerduty": "pager-key", "email": EMAIL}
SETS = [
    dict(itertools.compress(NAMED.items(), chosen))
    for chosen in itertools.product((True, False), repeat=3)
]
SEVERITIES = ["critical", "warning", "info", "none", None]


def reached(config: dict[str, Any], **labels: str) -> list[str]:
    """The receivers that Alertmanager's walk through the routes ends at."""
    found = []
    for route in config["route"]["routes"]:
        if all(_matches(each, labels) for each in route["matchers"]):
            found.append(route["receiver"])
            if not route.get("continue"):
                break
    return found or [config["route"]["receiver"]]


def _matches(matcher: str, labels: dict[str, str]) -> bool:
    name, sign, value = re.fullmatch(r'(\w+)(=~|=)"(.*)"', matcher).groups()  # ty: ignore
    found = labels.get(name, "")
    return bool(re.fullmatch(value, found)) if sign == "=~" else found == value


def labelled(severity: str | None) -> dict[str, str]:
    return {"alertname": "MlflowDown", **({"severity": severity} if severity else {})}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("named", SETS, ids=lambda named: "+".join(named) or "nobody")
def test_every_alert_reaches_one_receiver_and_a_real_one_where_there_is_any(
    named: dict[str, Any], severity: str | None
) -> None:
    config = configuration(Receivers(**named))
    (receiver,) = reached(config, **labelled(severity))
    assert receiver in (named or {NOBODY})
    (made,) = (each for each in config["receivers"] if each["name"] == receiver)
    kinds = [key for key in made if key.endswith("_configs")]
    assert kinds == ([f"{receiver}_configs"] if named else [])
    assert all(len(made[kind]) == 1 for kind in kinds)


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [
        ("critical", "pagerduty"),
        ("warning", "slack"),
        ("info", "email"),
        (None, "slack"),
        ("unheard-of", "slack"),
    ],
)
def test_severity_chooses_among_them(severity: str | None, receiver: str) -> None:
    assert reached(configuration(Receivers(**NAMED)), **labelled(severity)) == [receiver]


@pytest.mark.parametrize("severity", ["warning", "info"])
def test_nobody_is_paged_for_a_warning_who_could_be_written_to(severity: str) -> None:
    for named in SETS:
        if {"slack", "email"} & named.keys():
            config = configuration(Receivers(**named))
            assert reached(config, **labelled(severity)) != ["pagerduty"]


def test_a_stack_without_receivers_says_so() -> None:
    config = configuration(Receivers())
    assert config["receivers"] == [{"name": "null"}]
    assert (Receivers().secrets, Receivers().ports) == ([], [])


def test_what_is_secret_is_read_from_files_of_the_named_secrets() -> None:
    receivers = Receivers(**NAMED)
    text = json.dumps(configuration(receivers))
    folder = "/etc/alertmanager/secrets"
    for file in ("slack-hook/url", "pager-key/key", "smtp/password"):
        assert f'_file": "{folder}/{file}"' in text
    for field in ("api_url", "routing_key", "service_key", "auth_password", "auth_secret"):
        assert f'"{field}":' not in text
    assert receivers.secrets == ["pager-key", "slack-hook", "smtp"]


def test_alertmanager_connects_to_the_ports_of_its_receivers() -> None:
    assert Receivers(**NAMED).ports == [443, 587]
    assert Receivers(email=EMAIL).ports == [587]
    assert Receivers(slack="hook").ports == Receivers(pagerduty="key").ports == [443]


@pytest.mark.parametrize(("port", "asked"), [(587, True), (25, True), (465, False)])
def test_mail_goes_encrypted(port: int, asked: bool) -> None:
    server = f"smtp.example.org:{port}"
    email = Email(server=server, sender="a@b.org", to="c@b.org", username="a", secret="s")
    (made,) = configuration(Receivers(email=email))["receivers"]
    assert made["email_configs"][0]["require_tls"] is asked


@pytest.mark.parametrize("receiver", NAMED)
def test_the_end_of_an_alert_is_told_too(receiver: str) -> None:
    (made,) = configuration(Receivers(**{receiver: NAMED[receiver]}))["receivers"]
    assert made[f"{receiver}_configs"][0]["send_resolved"] is True


def test_alerts_of_two_models_are_two_messages_and_a_critical_one_is_repeated_sooner() -> None:
    route = configuration(Receivers(**NAMED))["route"]
    assert {"alertname", "environment", "namespace", "model"} <= set(route["group_by"])
    repeated = {each["receiver"]: each.get("repeat_interval") for each in route["routes"]}
    assert repeated == {"pagerduty": "1h", "slack": None, "email": None}


def test_what_is_critical_silences_the_warning_of_the_same_thing_only() -> None:
    for inhibition in configuration(Receivers())["inhibit_rules"]:
        assert 'severity="critical"' in inhibition["source_matchers"]
        assert not any("critical" in each for each in inhibition["target_matchers"])
        assert {"environment", "model"} <= set(inhibition["equal"])
