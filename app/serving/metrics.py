"""What the server measures; the names and labels are a contract with the alert rules."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

import numpy as np
import numpy.typing as npt
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
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

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

_SCORE_BUCKETS = tuple(step / 20 for step in range(1, 21))
_LATENCY_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)


class Scores(Collector):
    """`prediction_score`: how the probabilities are distributed, one for each scored row.

    The library's histogram takes a lock and some microseconds for each; there is one thread here
    that scores and renders.
    """

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._counts = [0] * (len(_SCORE_BUCKETS) + 1)
        self._sum = 0.0

    def add(self, scores: npt.NDArray[np.float32]) -> None:
        """Count the scores of a request, (rows,)."""
        if len(scores) == 1:
            score = scores.item()
            self._counts[bisect_left(_SCORE_BUCKETS, score)] += 1
            self._sum += score
            return
        places = np.searchsorted(_SCORE_BUCKETS, scores.astype(np.float64))
        rows = np.bincount(places, minlength=len(self._counts)).tolist()
        self._counts = [before + more for before, more in zip(self._counts, rows, strict=True)]
        self._sum += float(scores.sum(dtype=np.float64))

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """As the registry asks for it."""
        family = HistogramMetricFamily(
            "prediction_score",
            "Probability of the positive class, of each scored row.",
            labels=tuple(self._labels),
        )
        bounds = (*map(str, _SCORE_BUCKETS), "+Inf")
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        family.add_metric(tuple(self._labels.values()), buckets, self._sum)
        return [family]


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
        self.scores = Scores(labels)
        self.registry.register(self.scores)
        self.accuracy = accuracy.labels(**labels)
        self._errors = {reason: errors.labels(**labels, reason=reason) for reason in REASONS}

    def error(self, reason: str) -> None:
        """Count a request that got no prediction; `reason` is one of `REASONS`."""
        self._errors[reason].inc()

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
