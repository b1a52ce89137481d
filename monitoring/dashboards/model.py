"""The screen of one model: traffic, errors, scores, accuracy, drift."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.panels import Panel, chosen, heat, lines, number, screen, states

_OF = 'model="$model"'
_INVALID = "missing|unknown|type|integer|range|category|schema|shape|datatype"


def board() -> Dashboard:
    """Of the model that the variable `model` names; each line is one of its versions."""
    rows = (
        ("Now", _now()),
        ("Traffic", _traffic()),
        ("Errors", _errors()),
        ("Scores", _scores()),
        ("Outcomes: predictions old enough to be judged", _outcomes()),
        ("Drift", _drift()),
        ("The server", _server()),
    )
    models = chosen("model", "label_values(prediction_latency_seconds_count, model)")
    return screen("model", "Model", rows, [models])


def _rate(metric: str, by: str = "version", more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_OF}{more}}}[$__rate_interval]))"


def _total(metric: str, more: str = "") -> str:
    return f"sum(rate({metric}{{{_OF}{more}}}[5m]))"


def _latency(quantile: float) -> str:
    buckets = _rate("prediction_latency_seconds_bucket", "le, version")
    return f"histogram_quantile({quantile}, {buckets})"


_ANSWERED = _total("prediction_latency_seconds_count")
_FAILED = _total("inference_error_total")


def _now() -> tuple[Panel, ...]:
    quick = "histogram_quantile(0.99, sum by (le) (rate(prediction_latency_seconds_bucket"
    return (
        number("Predictions", "Answered requests a second.", _ANSWERED, unit="reqps", decimals=1),
        number(
            "Without a prediction",
            "Share of all requests, whatever the reason.",
            f"{_FAILED} / ({_FAILED} + {_ANSWERED})",
            unit="percentunit",
            decimals=2,
            bad_from=0.05,
        ),
        number(
            "99th percentile",
            "Of the time from received request to finished prediction.",
            f"{quick}{{{_OF}}}[5m])))",
            unit="s",
            decimals=1,
        ),
        number(
            "Accuracy",
            "On predictions whose outcome is known and old enough.",
            f'max(prediction_accuracy{{{_OF}, basis="outcomes"}})',
            unit="percentunit",
            decimals=1,
        ),
        number(
            "Drift",
            "1: the newest window differs from what the model was trained on.",
            f"max(drift_detected{{{_OF}}})",
            bad_from=1,
        ),
    )


def _traffic() -> tuple[Panel, ...]:
    return (
        lines(
            "Predictions",
            "Answered requests, by version.",
            (_rate("prediction_latency_seconds_count"), "version {{version}}"),
            unit="reqps",
        ),
        lines(
            "Latency",
            "Median and 99th percentile, by version.",
            (_latency(0.5), "median of version {{version}}"),
            (_latency(0.99), "p99 of version {{version}}"),
            unit="s",
        ),
        heat(
            "Latency, all of it",
            "Answered requests by how long they took.",
            _rate("prediction_latency_seconds_bucket", "le"),
            unit="s",
        ),
    )


def _errors() -> tuple[Panel, ...]:
    return (
        lines(
            "Requests without a prediction",
            "By what was wrong.",
            (_rate("inference_error_total", "reason"), "{{reason}}"),
            unit="reqps",
        ),
        lines(
            "The callers' errors",
            "Requests whose rows do not fit the model's schema.",
            (_rate("inference_error_total", more=f', reason=~"{_INVALID}"'), "{{version}}"),
            unit="reqps",
        ),
        lines(
            "The server's errors",
            "Refused for load, or failed.",
            (
                _rate(
                    "inference_error_total", "reason", ', reason=~"shed|loading|online|internal"'
                ),
                "{{reason}}",
            ),
            unit="reqps",
        ),
    )


def _scores() -> tuple[Panel, ...]:
    mean = f"{_rate('prediction_score_sum')} / {_rate('prediction_score_count')}"
    return (
        heat(
            "Scores",
            "How the probabilities are distributed, over time.",
            _rate("prediction_score_bucket", "le"),
            unit="percentunit",
        ),
        lines("Mean score", "By version.", (mean, "version {{version}}"), unit="percentunit"),
        lines(
            "Score drift",
            "Population stability index of the score, beside what chance alone gives.",
            (f"prediction_drift{{{_OF}}}", "version {{version}}"),
            (f"prediction_drift_threshold{{{_OF}}}", "threshold of version {{version}}"),
        ),
    )


def _outcomes() -> tuple[Panel, ...]:
    return (
        lines(
            "Accuracy",
            "Share called rightly at the model's threshold, with its 95% interval; and on the rows "
            "held out in training.",
            (f'prediction_accuracy{{{_OF}, basis="outcomes"}}', "version {{version}}"),
            (f"prediction_accuracy_bound{{{_OF}}}", "{{bound}} end, version {{version}}"),
            (
                f'max by (version) (prediction_accuracy{{{_OF}, basis="held_out"}})',
                "held out, {{version}}",
            ),
            unit="percentunit",
            top=1,
        ),
        lines(
            "Calibration error",
            "Mean gap between score and outcome.",
            (f"prediction_calibration_error{{{_OF}}}", "version {{version}}"),
            unit="percentunit",
        ),
        lines(
            "Cost of a decision",
            "Mean, by what a wrong call of either kind costs.",
            (f"prediction_cost{{{_OF}}}", "version {{version}}"),
        ),
        lines(
            "Outcomes",
            "Predictions whose outcome is known and old enough.",
            (f"outcomes_matured{{{_OF}}}", "version {{version}}"),
        ),
        lines(
            "Outcomes missing",
            "Share of the predictions that are old enough.",
            (f"outcomes_missing_ratio{{{_OF}}}", "version {{version}}"),
            unit="percentunit",
            top=1,
        ),
    )


def _drift() -> tuple[Panel, ...]:
    return (
        lines(
            "Drift by feature",
            "Population stability index against the training rows: the ten largest.",
            (f"topk(10, feature_drift{{{_OF}}})", "{{feature}}"),
        ),
        lines(
            "Drift by feature, as a share of its threshold",
            "1 is what chance reaches once in a thousand windows, over all features together.",
            (
                f"topk(10, feature_drift{{{_OF}}} / feature_drift_threshold{{{_OF}}})",
                "{{feature}}",
            ),
        ),
        states(
            "Windows",
            "Whether the newest window has drifted.",
            (f"drift_detected{{{_OF}}}", "version {{version}}"),
        ),
        lines(
            "Rows of a window",
            "Rows of the request log that the newest verdict rests on.",
            (f"drift_window_rows{{{_OF}}}", "version {{version}}"),
        ),
        lines(
            "Retraining",
            "Started, and held back because another was started lately.",
            (f"sum by (reason) (increase(retrainings_total{{{_OF}}}[1d]))", "{{reason}}"),
            (f"sum(increase(retrainings_damped_total{{{_OF}}}[1d]))", "held back"),
        ),
    )


def _server() -> tuple[Panel, ...]:
    pods = f'and on (pod) prediction_accuracy{{{_OF}, basis="held_out"}}'
    return (
        lines(
            "CPU",
            "Of each replica.",
            (f"sum by (pod) (rate(process_cpu_seconds_total[$__rate_interval])) {pods}", "{{pod}}"),
            unit="short",
        ),
        lines(
            "Memory",
            "Of each replica.",
            (f"sum by (pod) (process_resident_memory_bytes) {pods}", "{{pod}}"),
            unit="bytes",
        ),
        lines(
            "Rows lost for the request log",
            "Sampled rows that did not reach the bucket.",
            (_rate("request_log_dropped_total"), "version {{version}}"),
            unit="reqps",
        ),
    )
