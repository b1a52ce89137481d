"""A case: what Prometheus sees, and which alerts fire when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Labels = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Series, and at each look the labels of the alerts that fire; the rule's own are added."""

    rule: str
    """The rule that is looked at: see `key`."""
    says: str
    series: Mapping[str, str]
    """By selector the values, one every `every`, in promtool's words: `0+10x5`."""
    looks: Mapping[str, Sequence[Labels]]
    every: str = "1m"
    """Between two samples."""
    step: str = ""
    """Between two evaluations; `every` where it is not said."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a recording is at each look, to four places, for series as in a case."""

    rule: str
    says: str
    series: Mapping[str, str]
    looks: Mapping[str, Mapping[str, float]]
    """By moment the values by labels, as a selector has them: `{model="loans"}`."""
    every: str = "1m"
    step: str = ""
    """Between two evaluations; `every` where it is not said."""


def key(rule: Mapping[str, Any]) -> str:
    """A rule's name, with the labels that tell it from others of that name."""
    name = rule.get("alert") or rule["record"]
    own = {k: v for k, v in rule.get("labels", {}).items() if k not in {"severity", "team"}}
    return "/".join([name, *(own[label] for label in ("emitter", "disk", "slo") if label in own)])
