"""The metric contract as Python: what metrics.toml says, and the library's metrics made from it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

FILE = Path(__file__).with_name("metrics.toml")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric, as its processes name it: a counter without `_total`."""

    name: str
    type: str
    """counter, gauge or histogram."""
    unit: str
    labels: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    """All values of a label, where they are listed."""
    buckets: tuple[float, ...]
    """Upper bounds of a histogram, without +Inf."""
    help: str
    emitters: tuple[str, ...]


@cache
def metrics() -> Mapping[str, Metric]:
    """Every metric by name, in the file's order."""
    entries = tomllib.loads(FILE.read_text())["metrics"]
    return {name: _metric(name, entry) for name, entry in entries.items()}


def of(emitter: str) -> Mapping[str, Metric]:
    """The metrics of an emitter by name: `server` or `watch`."""
    return {name: each for name, each in metrics().items() if emitter in each.emitters}


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """The counter of that name; KeyError when the contract has none."""
    metric = _found(name, "counter")
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """The gauge of that name; KeyError when the contract has none."""
    metric = _found(name, "gauge")
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """The histogram of that name; KeyError when the contract has none."""
    metric = _found(name, "histogram")
    return Histogram(
        metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry
    )


def _found(name: str, kind: str) -> Metric:
    found = metrics().get(name)
    if found is None or found.type != kind:
        raise KeyError(f"{FILE.name} has no {kind} {name}")
    return found


def _metric(name: str, entry: dict[str, Any]) -> Metric:
    return Metric(
        name=name,
        type=entry["type"],
        unit=entry["unit"],
        labels=tuple(entry.get("labels", ())),
        values={label: _values(given) for label, given in entry.get("values", {}).items()},
        buckets=tuple(entry.get("buckets", ())),
        help=entry["help"],
        emitters=tuple(entry["emitters"]),
    )


def _values(given: list[str] | dict[str, list[str]]) -> tuple[str, ...]:
    """A label's values, with or without groups."""
    groups = given.values() if isinstance(given, dict) else [given]
    return tuple(value for group in groups for value in group)
