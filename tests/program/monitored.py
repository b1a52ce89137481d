"""A stack's monitoring under the record, and what is looked up in it."""

from collections.abc import Callable
from typing import Any

from components.monitoring import Monitoring, MonitoringArgs
from components.scraping import GROUP
from components.traffic import Gateway
from tests.program.recorder import Build, Recorder

GATEWAY = Gateway(class_name="traefik", domain="dev.ferry.test", namespace="traefik")
ROLES = {role: f"dev-{role}" for role in ("monitoring", "models", "jobs", "platform")}
HERE = ROLES["monitoring"]
# The components that make them end in the same name.
PROMETHEUS, ALERTMANAGER = (f"{GROUP}/v1:{kind}" for kind in ("Prometheus", "Alertmanager"))
CHANGING = {"create", "update", "patch", "delete", "deletecollection", "*"}
RULES = [{"name": "own", "rules": [{"alert": "Down", "expr": "up == 0"}]}]

# Most tests look at the same program; a record is only read.
_seen: list[Recorder] = []

Rights = set[tuple[str, str]]


def program(**changed: Any) -> Callable[[], Monitoring]:  # noqa: ANN401 - arguments
    """Registers the monitoring of a stack that has one of everything."""
    given: dict[str, Any] = {
        "namespaces": ROLES,
        "environment": "dev",
        "gateway": GATEWAY,
        "callers": ["dev-models"],
        "retention": "7d",
        "size": 10,
        "routes": {"route": {"receiver": "slack"}},
        "secrets": ["slack-hook"],
        "outside": [443],
        "ports": {"registry": "debug", "argo-rollouts": "metrics"},
        "addresses": {"mlflow": ["http://mlflow.dev-platform.svc/health"]},
        "rules": RULES,
        **changed,
    }
    return lambda: Monitoring("monitoring", MonitoringArgs(**given))


def watched(build: Build) -> Recorder:
    """The record of that program, which is run once; from the project's folder."""
    if not _seen:
        _seen.append(build(program()))
    return _seen[0]


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
    """By logical name, the inputs of all resources of a kind."""
    return {each.name: each.inputs for each in seen.resources if each.typ.endswith(f":{kind}")}


def rights(rules: list[dict[str, Any]]) -> Rights:
    """What they allow, as pairs of a resource and a verb."""
    return {(what, verb) for rule in rules for what in rule["resources"] for verb in rule["verbs"]}


def egress(seen: Recorder, policy: str) -> list[tuple[str | None, list[str | int]]]:
    """By rule, the namespace that a policy lets out to (None: anywhere), and the ports."""
    return [
        (
            each["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            if each.get("to")
            else None,
            [port["port"] for port in each.get("ports", ())],
        )
        for each in seen.one("NetworkPolicy", policy)["spec"]["egress"]
    ]
