"""Figures of a release's evidence that a report shows; what is not usable says why."""

from collections.abc import Iterator
from dataclasses import dataclass

from promotion.dossier import Evidence, Part, Unusable
from promotion.figures import MEASURES


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric with its 95% interval, beside `mark`: the baseline, or 0 for a difference."""

    name: str
    value: float
    low: float
    high: float
    mark: float


@dataclass(frozen=True, kw_only=True)
class Gap:
    """By how much groups of a split differ at most, and what groups drawn by lot would show.

    Both are None where there are too few rows to tell.
    """

    split: str
    measure: str
    value: float | None
    by_chance: float | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All of them; a text instead of figures is the reason why there are none."""

    metrics: tuple[Figure, ...] | str
    champion: str
    """Which version the differences are to."""
    differences: tuple[Figure, ...] | str
    gaps: tuple[Gap, ...] | str
    validation: str


def of(found: Evidence) -> Figures:
    """What the files say. Never raises: a report of a bad release is wanted most."""
    champion, differences = _differences(found)
    return Figures(
        metrics=_metrics(found),
        champion=champion,
        differences=differences,
        gaps=_gaps(found),
        validation=_validation(found),
    )


def _metrics(found: Evidence) -> tuple[Figure, ...] | str:
    try:
        document = found.document("metrics.json")
        baseline = dict(document["baseline"].items())
        return tuple(
            _figure(name, figure, baseline[name].number() if name in baseline else figure["value"])
            for name, figure in document["metrics"].items()
        )
    except Unusable as reason:
        return str(reason)


def _figure(name: str, part: Part, mark: float | Part) -> Figure:
    low, value, high = (part[field].number() for field in ("low", "value", "high"))
    at = mark.number() if isinstance(mark, Part) else mark
    return Figure(name=name, value=value, low=low, high=high, mark=at)


def _differences(found: Evidence) -> tuple[str, tuple[Figure, ...] | str]:
    champion = "champion"
    try:
        part = found.document("metrics.json")["champion"]
        if part.value is None:
            return champion, "there was no earlier version to compare with"
        fields = dict(part.items())
        champion = f"version {part['version'].number():.0f}"
        if "incomparable" in fields:
            return champion, f"it cannot be compared with: {fields['incomparable'].value}"
        return champion, tuple(
            _figure(name, figure, 0.0) for name, figure in part["differences"].items()
        )
    except Unusable as reason:
        return champion, str(reason)


def _gaps(found: Evidence) -> tuple[Gap, ...] | str:
    try:
        return tuple(_splits(found.document("fairness.json")["sensitive"]))
    except Unusable as reason:
        return str(reason)


def _splits(sensitive: Part) -> Iterator[Gap]:
    for split, figures in sensitive.items():
        for measure in MEASURES:
            gap = figures[measure]
            known = gap.value is not None
            yield Gap(
                split=split,
                measure=measure,
                value=gap["value"].number() if known else None,
                by_chance=gap["by_chance"].number() if known else None,
            )


def _validation(found: Evidence) -> str:
    try:
        said = found.document("validation.json")
        passed = said["success"].value is True
        judged, trained_on = said["sha256"].value, found.release.data.sha256
        if judged != trained_on:
            return f"validation.json is of other data, sha256 {judged}"
        return f"{'passed' if passed else 'FAILED'}, {said['checks'].number():.0f} checks"
    except Unusable as reason:
        return str(reason)
