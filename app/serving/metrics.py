"""What the server measures; names, labels and buckets are the contract's, in metrics.toml."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from app.serving import contract

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REASONS = contract.metrics()["inference_error"].values["reason"]
"""Every value of the label `reason`; nothing else may become one."""


class Scores(Collector):
    """`prediction_score`: how the probabilities are distributed, one for each scored row.

    The library's histogram takes a lock and some microseconds for each; there is one thread here
    that scores and renders.
    """

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._metric = contract.metrics()["prediction_score"]
        self._buckets = self._metric.buckets
        self._counts = [0] * (len(self._buckets) + 1)
        self._sum = 0.0

    def add(self, scores: npt.NDArray[np.float32]) -> None:
        """Count the scores of a request, (rows,)."""
        if len(scores) == 1:
            score = scores.item()
            self._counts[bisect_left(self._buckets, score)] += 1
            self._sum += score
            return
        places = np.searchsorted(self._buckets, scores.astype(np.float64))
        rows = np.bincount(places, minlength=len(self._counts)).tolist()
        self._counts = [before + more for before, more in zip(self._counts, rows, strict=True)]
        self._sum += float(scores.sum(dtype=np.float64))

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """As the registry asks for it."""
        family = HistogramMetricFamily(
            self._metric.name, self._metric.help, labels=self._metric.labels
        )
        bounds = (*map(str, self._buckets), "+Inf")
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
        latency = contract.histogram("prediction_latency_seconds", self.registry)
        accuracy = contract.gauge("prediction_accuracy", self.registry)
        errors = contract.counter("inference_error", self.registry)
        # Children are made once: a series exists from the start, so its first increase is seen.
        self.latency = latency.labels(**labels)
        self.scores = Scores(labels)
        self.registry.register(self.scores)
        self.accuracy = accuracy.labels(**labels, basis="held_out")
        self._errors = {reason: errors.labels(**labels, reason=reason) for reason in REASONS}

    def error(self, reason: str) -> None:
        """Count a request that got no prediction; `reason` is one of `REASONS`."""
        self._errors[reason].inc()

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
