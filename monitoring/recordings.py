"""What Prometheus computes beforehand: a model's accuracy over its versions, and burn rates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitoring import slo

ACCURACY = "model:prediction_accuracy:outcomes"
LOWER, UPPER = "model:prediction_accuracy:lower", "model:prediction_accuracy:upper"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A series that a rule makes."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def rule(self) -> dict[str, Any]:
        """As PrometheusRule has it."""
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return {"record": self.name, "expr": self.expression, **labels}


def accuracy() -> tuple[Recording, ...]:
    """By model over its versions, each weighing as many outcomes as it has; the widest bounds."""
    right = 'prediction_accuracy{basis="outcomes"} * ignoring (basis) (outcomes_matured > 0)'
    return (
        Recording(
            name=ACCURACY,
            expression=f"sum by (model) ({right}) / sum by (model) (outcomes_matured)",
        ),
        *(
            Recording(
                name=name,
                expression=f'{widest} by (model) (prediction_accuracy_bound{{bound="{bound}"}})',
            )
            for name, widest, bound in ((LOWER, "min", "lower"), (UPPER, "max", "upper"))
        ),
    )


def burn() -> tuple[Recording, ...]:
    """Requests and errors a second of each objective, and their ratio over each window.

    Over a window the sums are divided, not the ratios averaged: quiet hours weigh little.
    """
    rates = [
        Recording(name=name, expression=expression, labels={"slo": each.name})
        for each in slo.OBJECTIVES
        for name, expression in ((slo.ERRORS, each.errors), (slo.REQUESTS, each.requests))
    ]
    ratios = [
        Recording(name=slo.ratio(slo.RATE_WINDOW), expression=f"{slo.ERRORS} / {slo.REQUESTS}")
    ]
    ratios += [
        Recording(
            name=slo.ratio(window),
            expression=f"sum_over_time({slo.ERRORS}[{window}])"
            f" / sum_over_time({slo.REQUESTS}[{window}])",
        )
        for window in slo.WINDOWS
        if window != slo.RATE_WINDOW
    ]
    return (*rates, *ratios)
