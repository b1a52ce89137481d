"""A preview as the comment of a pull request."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.prices import Prices
from policy.pack import Violation
from preview.difference import Change, Step

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_LONGEST = 80
_MOST_CHANGES = 20


@dataclass(frozen=True, kw_only=True)
class StackPreview:
    """What is told of one stack; costs are of a month, by workload."""

    stack: str
    resources: int
    steps: Sequence[Step]
    violations: Sequence[Violation]
    before: Mapping[str, float]
    after: Mapping[str, float]


def page(base: str, stacks: Sequence[StackPreview], prices: Prices) -> str:
    """The whole comment."""
    rows = [
        f"| {each.stack} | {each.resources} | {_counted(each.steps)} | {_judged(each.violations)} "
        f"| {_cost(each, prices)} |"
        for each in stacks
    ]
    head = [
        f"### What this changes against `{base}`",
        "",
        "| stack | resources | steps | policy | cost of a month |",
        "|---|---|---|---|---|",
        *rows,
    ]
    details = [line for each in stacks for line in _details(each, prices)]
    foot = (
        "Made without engine, cluster or cloud: whether an update replaces a resource, only its "
        f"provider knows. Prices of {prices.as_of}: {prices.source}"
    )
    return "\n".join([*head, "", *details, f"<sub>{foot}</sub>", ""])


def _counted(steps: Sequence[Step]) -> str:
    counts = {sign: sum(each.does == does for each in steps) for does, sign in _SIGNS.items()}
    return " ".join(f"{sign}{count}" for sign, count in counts.items() if count) or "none"


def _judged(violations: Sequence[Violation]) -> str:
    return f"**{len(violations)} violations**" if violations else "kept"


def _cost(each: StackPreview, prices: Prices) -> str:
    now = sum(each.after.values())
    change = now - sum(each.before.values())
    return f"{now:,.0f} {prices.currency} ({change:+,.2f})"


def _details(each: StackPreview, prices: Prices) -> list[str]:
    lines = [f"- **{violation}**" for violation in each.violations]
    if lines:
        lines = [f"**{each.stack} breaks rules:**", "", *lines, ""]
    moved = _moved(each)
    if not each.steps and not moved:
        return lines
    lines += [f"<details><summary>{each.stack}: {_counted(each.steps)}</summary>", "", "```diff"]
    for step in each.steps:
        lines.append(f"{_SIGNS[step.does]} {step.type} {step.name}")
        lines += [f"    {_told(change)}" for change in step.changes[:_MOST_CHANGES]]
        if len(step.changes) > _MOST_CHANGES:
            lines.append(f"    and {len(step.changes) - _MOST_CHANGES} more")
    lines += ["```", ""]
    lines += [f"- {name}: {change:+,.2f} {prices.currency} a month" for name, change in moved]
    return [*lines, "", "</details>", ""]


def _moved(each: StackPreview) -> list[tuple[str, float]]:
    """The workloads whose cost changes, dearest change first."""
    changes = {
        name: each.after.get(name, 0) - each.before.get(name, 0)
        for name in each.before.keys() | each.after.keys()
    }
    kept = [(name, change) for name, change in changes.items() if abs(change) >= 0.005]
    return sorted(kept, key=lambda pair: (-abs(pair[1]), pair[0]))


def _told(change: Change) -> str:
    return f"{change.path}: {_short(change.before)} -> {_short(change.after)}"


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = "(none)" if value is None else json.dumps(value, ensure_ascii=False)
    # A fence in a value would end the block it is shown in.
    text = text.replace("```", "'''")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
