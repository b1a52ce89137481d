"""What an alert is, and how it becomes a rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["critical", "warning"]
"""critical: somebody is woken; warning: somebody looks in working hours."""
Team = Literal["models", "platform"]


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert rule, for whatever models, pods or volumes its expression finds."""

    name: str
    expression: str
    hold: str
    """How long the expression must hold before it fires, in Prometheus' words: `5m`."""
    severity: Severity
    team: Team
    summary: str
    description: str
    labels: Mapping[str, str] = field(default_factory=dict)
    """More labels, which tell apart rules of one name."""
    runbook: str = ""
    """The page in docs/runbooks, where that is not the alert's name."""

    @property
    def page(self) -> str:
        return f"{self.runbook or self.name}.md"

    def rule(self, runbooks: str) -> dict[str, Any]:
        """As PrometheusRule has it; `runbooks` is the address of the folder docs/runbooks."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.hold,
            "labels": {"severity": self.severity, "team": self.team, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{runbooks.rstrip('/')}/{self.page}",
            },
        }
