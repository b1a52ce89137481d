"""When a model's people are told: of its accuracy, its rows, its outcomes and its retraining."""

from monitoring.alerts import Alert
from monitoring.contract import reasons
from monitoring.recordings import ACCURACY, LOWER, UPPER

FALL = 0.02
"""Of accuracy, that is told: the difference of two shares."""
_ROWS = f'inference_error_total{{reason=~"{"|".join(reasons("rows"))}"}}'
_REFUSED = f"sum by (model) (rate({_ROWS}[15m]))"
_ANSWERED = "sum by (model) (rate(prediction_latency_seconds_count[15m]))"
_DRIFTED = 'sum by (model) (increase(drift_windows_total{verdict="drifted"}[6h]))'
_MEASURED = 'sum by (model) (increase(drift_windows_total{verdict=~"drifted|steady"}[6h]))'


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_accuracy(), *_rows(), *_watch())


def _accuracy() -> tuple[Alert, ...]:
    # An hour's grace: a Prometheus that was away a day ago still knows the hour before.
    then, lower = (f"last_over_time({name}[1h] offset 1d)" for name in (ACCURACY, LOWER))
    by = "by (model, version)"
    promised = f'max {by} (prediction_accuracy{{basis="held_out"}})'
    outcomes = f'max {by} (prediction_accuracy{{basis="outcomes"}})'
    upper = f'max {by} (prediction_accuracy_bound{{bound="upper"}})'
    return (
        Alert(
            name="ModelDriftDetected",
            expression=f"{then} - {ACCURACY} > {FALL} and {UPPER} < {lower}",
            hold="5m",
            severity="warning",
            team="models",
            summary="Accuracy decreased by more than 2% over the last day.",
            description="{{ $labels.model }} calls {{ $value | humanizePercentage }} fewer rows"
            " rightly than a day ago, on matured outcomes, and that is no chance.",
        ),
        Alert(
            name="AccuracyBelowHeldOut",
            expression=f"{promised} - {outcomes} > {FALL} and {promised} > {upper}",
            hold="1h",
            severity="warning",
            team="models",
            summary="{{ $labels.model }} is less accurate than it was on held-out rows.",
            description="Version {{ $labels.version }} calls {{ $value | humanizePercentage }}"
            " fewer rows rightly on matured outcomes than its evaluation said.",
        ),
    )


def _rows() -> tuple[Alert, ...]:
    return (
        Alert(
            name="FeatureDriftDetected",
            expression=f"{_DRIFTED} > 2.5 and {_DRIFTED} / {_MEASURED} >= 0.5"
            " and max by (model) (drift_detected) == 1",
            hold="1m",
            severity="warning",
            team="models",
            summary="The rows that {{ $labels.model }} is asked for are not those of its training.",
            description="Of the windows of 6 hours {{ $value | humanize }} drifted, the last one"
            " and half of them or more.",
        ),
        Alert(
            name="SchemaErrors",
            # The second: not of a few requests.
            expression=f"{_REFUSED} / {_ANSWERED} > 0.05 and {_REFUSED} > 0.01",
            hold="10m",
            severity="warning",
            team="models",
            summary="{{ $labels.model }} refuses rows: they are not as its schema has them.",
            description="{{ $value | humanizePercentage }} as many requests as it answers, within"
            " 15 minutes.",
        ),
        Alert(
            name="RequestLogDropped",
            expression="sum by (model) (increase(request_log_dropped_total[1h])) > 0",
            hold="5m",
            severity="warning",
            team="platform",
            summary="Sampled rows of {{ $labels.model }} do not reach the bucket.",
            description="{{ $value | humanize }} rows of the last hour: drift and accuracy are"
            " computed without them.",
        ),
        Alert(
            name="OutcomesMissing",
            expression="max by (model, version) (outcomes_missing_ratio) > 0.2",
            hold="1h",
            severity="warning",
            team="models",
            summary="Outcomes of {{ $labels.model }} do not come in.",
            description="{{ $value | humanizePercentage }} of the predictions of version"
            " {{ $labels.version }} that are past maturity have none.",
        ),
    )


def _watch() -> tuple[Alert, ...]:
    succeeded = "max by (model) (watch_last_success_timestamp_seconds)"
    never = (
        "group by (model) (watch_errors_total)"
        " unless group by (model) (watch_last_success_timestamp_seconds)"
    )
    by = "by (namespace, job_name)"
    failed = f'max {by} (kube_job_failed{{condition="true",namespace=~".+-jobs"}}) == 1'
    recently = f"time() - max {by} (kube_job_status_start_time) < 86400"
    return (
        Alert(
            name="WatchStalled",
            expression=f"time() - {succeeded} > 900 or ({never})",
            hold="5m",
            severity="warning",
            team="platform",
            summary="Nobody watches {{ $labels.model }}: its watch runs and gets nothing done.",
            description="No tick has ended well for a quarter of an hour.",
        ),
        Alert(
            name="RetrainingFailed",
            expression=f"{failed} and {recently}",
            hold="1m",
            severity="warning",
            team="models",
            summary="The job {{ $labels.job_name }} failed.",
            description="A step of the road in {{ $labels.namespace }}; the release that serves"
            " is not touched.",
        ),
        *(
            Alert(
                name="MetricsAbsent",
                expression=f"group by (model) (last_over_time({series}[6h]))"
                f" unless group by (model) ({series})",
                hold="10m",
                severity="warning",
                team="platform",
                summary=f"{{{{ $labels.model }}}} has no metrics of its {emitter} any more.",
                description="Within 6 hours there were some.",
                labels={"emitter": emitter},
            )
            for emitter, series in (
                ("server", "prediction_latency_seconds_count"),
                ("watch", "watch_errors_total"),
            )
        ),
    )
