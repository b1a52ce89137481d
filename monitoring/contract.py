"""Every series that a query may name: ours by the metric contract, others' by foreign.toml."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

OURS = Path(__file__).parents[1] / "app" / "serving" / "metrics.toml"
FOREIGN = Path(__file__).with_name("foreign.toml")

PROBES = ("mlflow", "registry", "object-store", "models")
"""The `job` of each probe: what is asked from outside whether it answers."""

Unit = frozenset[tuple[str, int]] | None
"""Powers of what is counted or measured; empty: a plain ratio; None: whatever the other side is."""

RATIO: Unit = frozenset()


@dataclass(frozen=True, kw_only=True)
class Series:
    """What a name on the wire, or any expression, stands for."""

    kind: str = "gauge"
    """counter or gauge."""
    unit: Unit = None
    labels: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """All values of a label, where they are listed."""
    bound: Unit = None
    """Of a histogram's buckets: the unit of their bounds."""


@cache
def catalogue() -> Mapping[str, Series]:
    """Every series by its name on the wire, without what is recorded."""
    foreign = tomllib.loads(FOREIGN.read_text())
    targets = frozenset(foreign["targets"]["labels"])
    found: dict[str, Series] = {}
    for name, entry in tomllib.loads(OURS.read_text())["metrics"].items():
        found.update(_wire(name, entry, _series(entry, targets)))
    for name, entry in foreign["metrics"].items():
        found[name] = _series(entry, targets)
    return found


@cache
def reasons(group: str) -> tuple[str, ...]:
    """The values of `inference_error`'s reason whose fault is `group`: rows, client or server."""
    entry = tomllib.loads(OURS.read_text())["metrics"]["inference_error"]
    return tuple(entry["values"]["reason"][group])


def unit(word: str) -> Unit:
    """The unit that a contract calls `word`."""
    match word:
        case "any":
            return None
        case "ratio" | "flag":
            return RATIO
        case _:
            return frozenset({(word, 1)})


def _series(entry: dict[str, Any], targets: frozenset[str]) -> Series:
    return Series(
        kind=entry["type"],
        unit=unit(entry["unit"]),
        labels=targets | set(entry.get("labels", ())),
        values={label: frozenset(_all(given)) for label, given in entry.get("values", {}).items()},
    )


def _wire(name: str, entry: dict[str, Any], series: Series) -> Iterator[tuple[str, Series]]:
    """What a client library makes of one metric."""
    match series.kind:
        case "counter":
            yield f"{name}_total", series
        case "histogram":
            counts = replace(series, kind="counter", unit=unit(entry["counts"]))
            yield f"{name}_count", counts
            yield f"{name}_sum", replace(series, kind="counter")
            bounds = frozenset([*map(str, map(float, entry["buckets"])), "+Inf"])
            yield (
                f"{name}_bucket",
                replace(
                    counts,
                    labels=series.labels | {"le"},
                    values={**series.values, "le": bounds},
                    bound=series.unit,
                ),
            )
        case _:
            yield name, series


def _all(given: list[str] | dict[str, list[str]]) -> list[str]:
    return (
        [each for group in given.values() for each in group] if isinstance(given, dict) else given
    )
