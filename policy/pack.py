"""All rules, and what they say of a whole stack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy import (
    caches,
    clusters,
    databases,
    identities,
    keys,
    networks,
    pods,
    registries,
    rights,
    storage,
    workloads,
)
from policy.exceptions import exempt
from policy.rule import Resource, Rule, Stack

RULES: tuple[Rule, ...] = (
    *(*storage.RULES, *keys.RULES, *registries.RULES, *databases.RULES),
    *caches.RULES,
    *(*clusters.RULES, *identities.RULES, *networks.RULES),
    *(*pods.RULES, *workloads.RULES, *rights.RULES),
)


@dataclass(frozen=True, kw_only=True)
class Violation:
    rule: Rule
    resource: Resource
    text: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.text} ({self.rule.number} {self.rule.name})"


def complaints(rule: Rule, resource: Resource, stack: Stack) -> Iterator[str]:
    """What is wrong with a resource that the rule is about, and that is not exempt from it."""
    if resource.kind in rule.kinds and not exempt(rule, resource):
        yield from rule.look(resource, stack)


def violations(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Everything that a stack does against a rule that holds for it."""
    stack = Stack(resources)
    for resource in resources:
        for rule in RULES:
            for text in complaints(rule, resource, stack):
                yield Violation(rule=rule, resource=resource, text=text)
