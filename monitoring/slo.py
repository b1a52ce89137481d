"""The objectives of every model's server, and how fast their error budgets may burn."""

from dataclasses import dataclass

from monitoring.alerts import Alert, Severity
from monitoring.contract import reasons

RATE_WINDOW = "5m"
REQUESTS, ERRORS = "model:slo_requests:rate5m", "model:slo_errors:rate5m"
_ANSWERED = "sum by (model) (rate(prediction_latency_seconds_count[5m]))"
_QUICK = 'sum by (model) (rate(prediction_latency_seconds_bucket{le="0.1"}[5m]))'
_FAILED = (
    f'sum by (model) (rate(inference_error_total{{reason=~"{"|".join(reasons("server"))}"}}[5m]))'
)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A share of requests that must be well, over 30 days."""

    name: str
    target: float
    requests: str
    """Requests a second, by model."""
    errors: str
    """Those of them that are not well."""
    meaning: str


OBJECTIVES = (
    Objective(
        name="availability",
        target=0.999,
        requests=f"{_ANSWERED} + {_FAILED}",
        errors=_FAILED,
        meaning="fail by the server's fault",
    ),
    Objective(
        name="latency",
        target=0.99,
        requests=_ANSWERED,
        errors=f"{_ANSWERED} - {_QUICK}",
        meaning="take longer than 0.1 s",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Burn:
    """Budget spent `factor` times as fast as would last 30 days, over both windows."""

    factor: float
    long: str
    short: str
    severity: Severity
    spent: str


# Source: Google, The Site Reliability Workbook, chapter 5, table 5-8, and its 3 days at rate 1.
BURNS = (
    Burn(factor=14.4, long="1h", short="5m", severity="critical", spent="2 % in an hour"),
    Burn(factor=6, long="6h", short="30m", severity="critical", spent="5 % in 6 hours"),
    Burn(factor=3, long="1d", short="2h", severity="warning", spent="10 % in a day"),
    Burn(factor=1, long="3d", short="6h", severity="warning", spent="10 % in 3 days"),
)
WINDOWS = tuple(dict.fromkeys(window for burn in BURNS for window in (burn.short, burn.long)))


def ratio(window: str) -> str:
    """The recorded share of errors over a window."""
    return f"model:slo_errors:ratio_{window}"


def alerts() -> tuple[Alert, ...]:
    """Four for each objective, named by the longer window."""
    return tuple(_alert(objective, burn) for burn in BURNS for objective in OBJECTIVES)


def _alert(objective: Objective, burn: Burn) -> Alert:
    limit = round(burn.factor * (1 - objective.target), 6)
    return Alert(
        name=f"ErrorBudgetBurn{burn.long}",
        expression=f'{ratio(burn.long)}{{slo="{objective.name}"}} > {limit}'
        f" and {ratio(burn.short)} > {limit}",
        hold="1m",
        severity=burn.severity,
        team="models",
        summary=f"{{{{ $labels.model }}}} spends its {objective.name} budget"
        f" {burn.factor:g} times too fast.",
        description=f"{{{{ $value | humanizePercentage }}}} of the requests of {burn.long}"
        f" {objective.meaning}; {objective.target:.1%} must not. At this rate: {burn.spent}.",
        labels={"slo": objective.name, "window": burn.long},
        runbook="ErrorBudgetBurn",
    )
