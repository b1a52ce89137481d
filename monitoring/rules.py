"""Every rule of a stack, as PrometheusRule's `spec.groups`."""

from typing import Any

from monitoring import alerts_models, alerts_platform, recordings, slo
from monitoring.alerts import Alert


def alerts() -> tuple[Alert, ...]:
    """Every alert rule."""
    return (*alerts_models.alerts(), *slo.alerts(), *alerts_platform.alerts())


def groups(runbooks: str) -> list[dict[str, Any]]:
    """The groups; `runbooks` is the address of the folder docs/runbooks, which alerts link to."""
    recorded = {"accuracy": recordings.accuracy(), "budget": recordings.burn()}
    told = {
        "models": alerts_models.alerts(),
        "budget-alerts": slo.alerts(),
        "platform": alerts_platform.alerts(),
    }
    return [
        *({"name": name, "rules": [each.rule() for each in of]} for name, of in recorded.items()),
        *(
            {"name": name, "rules": [each.rule(runbooks) for each in of]}
            for name, of in told.items()
        ),
    ]
