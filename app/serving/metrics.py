"""What the server measures; the names and labels are a contract with the alert rules."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REASONS = (
    # What is wrong with a row (schema.Problem.code) …
    *("missing", "unknown", "type", "integer", "range", "category"),
    # … with a request …
    *("json", "schema", "shape", "datatype", "duplicate", "output", "empty", "too_many_rows"),
    *("too_large", "timeout", "encoding", "http", "entity"),
    *("route", "method", "model", "protocol", "deadline"),
    # … or with the server.
    *("shed", "loading", "online", "internal"),
)
"""Every value of the label `reason`; nothing else may become one."""

_LATENCY_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)


class Metrics:
    """The metrics of one served model version, in a registry of their own."""

    def __init__(self, model: str, version: str) -> None:
        disable_created_metrics()  # a second series for each of ours, and nobody asks for it
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        labels = {"model": model, "version": version}
        latency = Histogram(
            "prediction_latency_seconds",
            "Time from the received request to the finished prediction.",
            tuple(labels),
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        accuracy = Gauge(
            "prediction_accuracy",
            "Share of held-out rows called rightly at the model's threshold.",
            tuple(labels),
            registry=self.registry,
        )
        errors = Counter(
            "inference_error",
            "Requests without a prediction, by reason.",
            (*labels, "reason"),
            registry=self.registry,
        )
        # Children are made once: a series exists from the start, so its first increase is seen.
        self.latency = latency.labels(**labels)
        self.accuracy = accuracy.labels(**labels)
        self._errors = {reason: errors.labels(**labels, reason=reason) for reason in REASONS}

    def error(self, reason: str) -> None:
        """Count a request that got no prediction; `reason` is one of `REASONS`."""
        self._errors[reason].inc()

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
