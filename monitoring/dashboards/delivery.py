"""The screen of a delivery: who answers, a canary beside its stable, the verdicts."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.panels import Panel, chosen, lines, number, screen, states

_OF = 'model="$model"'
_ROLLOUT = 'name="$model"'


def board() -> Dashboard:
    """Of the model that the variable `model` names."""
    models = chosen("model", "label_values(prediction_latency_seconds_count, model)")
    rows = (
        ("Traffic", _traffic()),
        ("Stable and canary, side by side", _beside()),
        ("The rollout and its verdicts", _verdicts()),
        ("Pods", _pods()),
    )
    return screen("delivery", "Delivery", rows, [models])


def _rate(metric: str, by: str = "version") -> str:
    return f"sum by ({by}) (rate({metric}{{{_OF}}}[1m]))"


_ANSWERS = _rate("prediction_latency_seconds_count")


def _traffic() -> tuple[Panel, ...]:
    return (
        lines(
            "Split",
            "Share of the answered requests, by version.",
            (
                f"{_ANSWERS} / on () group_left () sum({_ANSWERS})",
                "version {{version}}",
            ),
            unit="percentunit",
            top=1,
        ),
        lines("Answers", "By version.", (_ANSWERS, "version {{version}}"), unit="reqps"),
        number(
            "Versions that answer",
            "Two while traffic moves, else one.",
            f"count({_ANSWERS} > 0)",
        ),
    )


def _beside() -> tuple[Panel, ...]:
    failed = _rate("inference_error_total")
    buckets = _rate("prediction_latency_seconds_bucket", "le, version")
    mean = f"{_rate('prediction_score_sum')} / {_rate('prediction_score_count')}"
    return (
        lines(
            "Without a prediction",
            "Share of each version's requests.",
            (f"{failed} / ({failed} + {_ANSWERS})", "version {{version}}"),
            unit="percentunit",
        ),
        lines(
            "99th percentile",
            "Of the time from received request to finished prediction.",
            (f"histogram_quantile(0.99, {buckets})", "version {{version}}"),
            unit="s",
        ),
        lines(
            "Mean score",
            "A shift of it is a reason to look.",
            (mean, "version {{version}}"),
            unit="percentunit",
        ),
    )


def _verdicts() -> tuple[Panel, ...]:
    return (
        states(
            "Rollout",
            "Its phase; Degraded after a canary was put back.",
            (f"max by (phase) (rollout_info{{{_ROLLOUT}}})", "{{phase}}"),
        ),
        states(
            "Analyses",
            "Verdicts of the judge, by name of the analysis.",
            ('max by (name, phase) (analysis_run_info{name=~"$model-.*"})', "{{name}} {{phase}}"),
        ),
        lines(
            "Failed Jobs",
            "A judge's Job fails when its verdict is to roll back.",
            (
                'sum by (job_name) (kube_job_status_failed{job_name=~"$model-.*"})',
                "{{job_name}}",
            ),
        ),
    )


def _pods() -> tuple[Panel, ...]:
    return (
        lines(
            "Replicas",
            "Pods that Prometheus finds, by version.",
            (
                f'count by (version) (prediction_accuracy{{{_OF}, basis="held_out"}})',
                "version {{version}}",
            ),
        ),
        lines(
            "Ready",
            "Pods that take requests.",
            ('sum by (pod) (kube_pod_status_ready{condition="true", pod=~"$model-.*"})', "{{pod}}"),
        ),
        lines(
            "Restarts in an hour",
            "Of the model's containers.",
            (
                "sum by (pod) (increase("
                'kube_pod_container_status_restarts_total{pod=~"$model-.*"}[1h]))',
                "{{pod}}",
            ),
        ),
    )
