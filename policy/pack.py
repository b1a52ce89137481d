"""All rules, and what they say of a whole stack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policy import pods, rights, storage, workloads
from policy.exceptions import exempt
from policy.rule import Resource, Rule, Stack

RULES: tuple[Rule, ...] = (*storage.RULES, *pods.RULES, *workloads.RULES, *rights.RULES)


@dataclass(frozen=True, kw_only=True)
class Violation:
    rule: Rule
    resource: Resource
    text: str

    def __str__(self) -> str:
        where = f"{self.resource.kind} {self.resource.name}"
        return f"{where}: {self.text} ({self.rule.number} {self.rule.name})"


def violations(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Everything that a stack does against a rule that holds for it."""
    stack = Stack(resources)
    for resource in resources:
        for rule in RULES:
            if not exempt(rule, resource):
                for text in rule.complaints(resource, stack):
                    yield Violation(rule=rule, resource=resource, text=text)
