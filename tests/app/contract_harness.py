"""Compares what a process tells at /metrics with what the contract says of it."""

import math
from collections.abc import Iterator

from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from app.serving import contract
from app.serving.contract import Metric


def disagreements(text: str, emitter: str) -> list[str]:
    """Every difference between a page in Prometheus' text format and the contract of `emitter`."""
    families = {_name(family): family for family in text_string_to_metric_families(text)}
    metrics = contract.of(emitter)
    found = [f"{name} is not in the contract" for name in families.keys() - metrics.keys()]
    found += [f"{name} is not told" for name in metrics.keys() - families.keys()]
    for name in sorted(families.keys() & metrics.keys()):
        found += [f"{name}: {what}" for what in _differences(families[name], metrics[name])]
    return found


def _name(family: Family) -> str:
    return family.name.removesuffix("_total")


def _differences(family: Family, metric: Metric) -> Iterator[str]:
    if family.type != metric.type:
        yield f"is a {family.type}, not a {metric.type}"
    if family.documentation != metric.help:
        yield f"says {family.documentation!r}"
    series = [sample.labels for sample in family.samples]
    names = {frozenset(labels) - {"le"} for labels in series}
    if names != {frozenset(metric.labels)}:
        yield f"has the labels {sorted(map(sorted, names))}"
    for label, values in metric.values.items():
        if strange := {labels.get(label, "") for labels in series} - set(values):
            yield f"has {label} {', '.join(sorted(strange))}"
    bounds = {float(labels["le"]) for labels in series if "le" in labels}
    if bounds != ({*metric.buckets, math.inf} if metric.type == "histogram" else set()):
        yield f"has the buckets {sorted(bounds)}"
