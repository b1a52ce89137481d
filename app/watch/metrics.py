"""What the watch tells Prometheus, by the names of the metric contract."""

import threading
from collections.abc import Iterable
from math import isnan

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from app.serving import contract
from app.watch.drift import Shift
from app.watch.tick import Judged, Tick

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_OF_OUTCOMES = {
    "accuracy": ("prediction_accuracy", {"basis": "outcomes"}),
    "lower": ("prediction_accuracy_bound", {"bound": "lower"}),
    "upper": ("prediction_accuracy_bound", {"bound": "upper"}),
    "calibration_error": ("prediction_calibration_error", {}),
    "cost": ("prediction_cost", {}),
    "matured": ("outcomes_matured", {}),
    "missing_ratio": ("outcomes_missing_ratio", {}),
}
"""By a figure's name in `Measures` its metric and labels."""


class Metrics:
    """The gauges and counters of one model's watch; a gauge without a value is not there."""

    def __init__(self, model: str, version: int) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._model = model
        self._held = False
        self._telling = threading.Lock()
        self._own = {"model": model, "version": str(version)}
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        for name, metric in contract.of("watch").items():
            if "model" not in metric.labels:
                continue  # the library's
            if metric.type == "gauge":
                self._gauges[name] = contract.gauge(name, self.registry)
            else:
                self._counters[name] = contract.counter(name, self.registry)
                # Each series is there from the start, so its first increase is seen.
                listed = metric.values or {"": ("",)}
                for label, values in listed.items():
                    for value in values:
                        self._count(name, {label: value} if label else {}, by=0)

    def told(self, tick: Tick) -> None:
        """Show what a tick found."""
        with self._telling:
            self._tell(tick)

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        with self._telling:
            return generate_latest(self.registry)

    def _tell(self, tick: Tick) -> None:
        for step in tick.failed:
            self._count("watch_errors", {"step": step})
        for step, number in tick.broken.items():
            self._count("watch_errors", {"step": step}, by=number)
        for window in tick.judged:
            self._count("drift_windows", {"verdict": window.drift.verdict})
        if tick.answer.job and tick.answer.reason:
            self._count("retrainings", {"reason": tick.answer.reason.kind})
        # Once for each time that it is wanted, however many ticks it is held back.
        if tick.answer.held and not self._held:
            self._count("retrainings_damped", {})
        self._held = tick.answer.held is not None
        if not tick.failed:
            self._gauges["watch_last_success_timestamp_seconds"].labels(**self._own).set(tick.time)
        if "outcomes" not in tick.failed:
            self._outcomes(tick)
        self._window(tick.window)

    def _outcomes(self, tick: Tick) -> None:
        self._clear(name for name, _ in _OF_OUTCOMES.values())
        for version, measures in tick.measures.items():
            for figure, (name, labels) in _OF_OUTCOMES.items():
                own = {"model": self._model, "version": str(version), **labels}
                self._set(name, getattr(measures, figure), own)

    def _window(self, window: Judged | None) -> None:
        drifts = ("feature_drift", "prediction_drift")
        self._clear([*drifts, *(f"{name}_threshold" for name in drifts), "drift_detected"])
        if window is None:
            return
        found = window.drift
        self._set("drift_window_rows", found.rows, self._own)
        if found.verdict == "short":
            return
        self._set("drift_detected", found.detected, self._own)
        for feature, shift in found.features.items():
            self._shift("feature_drift", shift, {**self._own, "feature": feature})
        if found.score is not None:
            self._shift("prediction_drift", found.score, self._own)

    def _shift(self, name: str, shift: Shift, labels: dict[str, str]) -> None:
        self._set(name, shift.psi, labels)
        self._set(f"{name}_threshold", shift.threshold, labels)

    def _clear(self, names: Iterable[str]) -> None:
        for name in names:
            self._gauges[name].clear()

    def _set(self, name: str, value: float, labels: dict[str, str]) -> None:
        if not isnan(value):
            self._gauges[name].labels(**labels).set(value)

    def _count(self, name: str, labels: dict[str, str], by: int = 1) -> None:
        self._counters[name].labels(**self._own, **labels).inc(by)
