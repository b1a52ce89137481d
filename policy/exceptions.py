"""Where a rule does not hold, why, and since when: once, here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from ruamel.yaml import YAML

from policy.rule import Resource, Rule


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """The rules `numbers` do not hold for resources of a kind whose name fits the pattern."""

    numbers: tuple[str, ...]
    kind: str
    name: str
    since: date
    reason: str

    def covers(self, rule: Rule, resource: Resource) -> bool:
        """Whether it speaks of that rule and that resource."""
        return (
            rule.number in self.numbers
            and resource.kind == self.kind
            and fnmatchcase(resource.name, self.name)
        )


def _lacking() -> Iterator[str]:
    """The stacks whose file says that their store is not all that S3 is."""
    for file in sorted(Path(__file__).parents[1].glob("Pulumi.*.yaml")):
        config = YAML(typ="safe", pure=True).load(file.read_text()).get("config", {})
        if config.get("ferry:platform", {}).get("objectStore", {}).get("lacks"):
            yield file.name.split(".")[1]


EXEMPTIONS = (
    Exemption(
        numbers=("46",),
        kind="Deployment",
        name="prometheus-operator",
        since=date(2026, 11, 24),
        reason="It is a controller: it reads and writes objects of its namespace.",
    ),
    Exemption(
        numbers=("46",),
        kind="Deployment",
        name="argo-rollouts",
        since=date(2026, 11, 24),
        reason="It is a controller: it moves traffic and pods of the models' namespace.",
    ),
    Exemption(
        numbers=("46",),
        kind="Deployment",
        name="*-watch",
        since=date(2026, 11, 30),
        reason="It makes a retraining Job from its model's CronJob.",
    ),
    Exemption(
        numbers=("46",),
        kind="Job",
        name="*-delivery",
        since=date(2026, 11, 24),
        reason="It reads from the API server how its Rollout went.",
    ),
    Exemption(
        numbers=("46",),
        kind="Deployment",
        name="kube-state-metrics",
        since=date(2026, 11, 30),
        reason="It lists and watches kinds of its stack's namespaces, and changes nothing.",
    ),
    Exemption(
        numbers=("5", "9", "10"),
        kind="Bucket",
        name="*-access-logs",
        since=date(2026, 11, 30),
        reason="S3 writes logs to no bucket with a key of KMS' or a default lock, nor its own.",
    ),
    Exemption(
        numbers=("34",),
        kind="ConfigMap",
        name="amazon-vpc-cni",
        since=date(2026, 11, 30),
        reason="By it EKS is told to enforce NetworkPolicies, and looks nowhere else.",
    ),
    *(
        Exemption(
            numbers=numbers,
            kind="Bucket",
            name=f"ferry-{stack}",
            since=date(2026, 11, 24),
            reason=reason,
        )
        for stack in _lacking()
        for numbers, reason in (
            (
                ("1", "7", "9"),
                "VersityGW has no such calls; a stack file says so under objectStore.lacks.",
            ),
            (
                ("3", "5", "6"),
                "VersityGW has no TLS, no log of requests and no lists of access of its own.",
            ),
        )
    ),
)

UNBOUND = {
    "ecr:GetAuthorizationToken": "A login is to all of the account's registry: IAM knows no part.",
}
"""Actions of IAM's that take no resource but `*`, and why."""


def exempt(rule: Rule, resource: Resource) -> bool:
    """Whether the rule does not hold for the resource."""
    return any(each.covers(rule, resource) for each in EXEMPTIONS)
