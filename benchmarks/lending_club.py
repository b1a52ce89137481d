"""The case: loans whose population drifts, what the stale model makes of them, and what a new one.

Run with the app's environment: `app/.venv/bin/python -m benchmarks.lending_club [PICTURE.png]`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from app import definition, evaluate, fit
from app.dataset import stable_hash
from app.reference import SCORE, Reference
from app.watch import drift

MODEL = definition.find("credit-default")
RECALL = 0.8
HEADLINE = "longer terms and higher rates"
PARTITIONS = 3
_FOLDS = 5
_RESAMPLES = 1000
_SEED = 20160331
_WINDOWS = (200, 500)

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]


def _standard(values: pd.Series) -> Floats:
    found = values.to_numpy(np.float64)
    return (found - found.mean()) / found.std()


def _chance(score: Floats) -> Floats:
    return 1 / (1 + np.exp(-score))


SCENARIOS: dict[str, Callable[[pd.DataFrame], Floats]] = {
    HEADLINE: lambda t: _chance(
        4 * ((t["term"] == "term_60").to_numpy(np.float64) - 0.3) + 2 * _standard(t["int_rate"])
    ),
    "longer terms": lambda t: np.where(t["term"] == "term_60", 0.95, 0.05),
    "higher rates": lambda t: _chance(3 * _standard(t["int_rate"])),
    "lower rates": lambda t: _chance(-3 * _standard(t["int_rate"])),
    "larger loans": lambda t: _chance(3 * _standard(np.log(t["funded_amnt"]))),
}
"""The chance that a loan is of the new population and not of the old: by its features alone."""


@dataclass(frozen=True)
class Partition:
    """Every loan is of one population, and is scored by models that did not learn from it."""

    new: Mask
    stale: Floats
    retrained: Floats


def uniform(keys: pd.Series, purpose: str) -> Floats:
    """A number from 0 to 1 for each key, the same everywhere."""
    return np.array([stable_hash(int(key), purpose) / 2**64 for key in keys])


def partition(loans: pd.DataFrame, chance: Floats, number: int) -> Partition:
    """The stale model learns from all old loans. The retrained one learns from old and new ones, as
    the road trains, but for the fifth of the new ones that it then scores."""
    matrix = MODEL.schema.from_columns(MODEL.dataset.columns(loans))
    labels = MODEL.dataset.labels(loans)
    keys = loans[MODEL.dataset.key]
    new = uniform(keys, f"population {number}") < chance
    fold = (uniform(keys, f"fold {number}") * _FOLDS).astype(int)

    def scores(learnt: Mask, asked: Mask) -> Floats:
        if (learnt & asked).any():
            raise ValueError("a loan would be scored by a model that learnt from it")
        model = fit.pipeline(MODEL.schema).fit(matrix[learnt], labels[learnt])
        return model.predict_proba(matrix[asked])[:, 1]

    stale, retrained = np.zeros(len(loans)), np.zeros(len(loans))
    stale[new] = scores(~new, new)
    for each in range(_FOLDS):
        asked = new & (fold == each)
        retrained[asked] = scores(~asked, asked)
    return Partition(new, stale, retrained)


def false_positives(labels: Labels, scores: Floats, times: Floats, recall: float) -> float:
    """Negatives at or above the highest threshold that finds this share of the positives.

    Each row counts `times` times, as in a resample.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum((times * labels)[order])
    wrong = np.cumsum((times * (1 - labels))[order])
    # Ties are called alike: the last row of a score stands for all that have it.
    last = np.append(np.diff(scores[order]) != 0, True)
    enough = found[last] >= recall * found[-1] - 1e-9
    return float(wrong[last][np.argmax(enough)])


def reduction(stale: float, retrained: float) -> float:
    """Share of the stale model's false positives that the retrained one does not make."""
    return 1 - retrained / stale


def compared(
    labels: Labels, parts: list[Partition], times: Floats, recall: float
) -> tuple[float, float]:
    """False positives of both models at that recall, the mean over the partitions."""
    pairs = [
        [
            false_positives(labels[part.new], scores[part.new], times[part.new], recall)
            for scores in (part.stale, part.retrained)
        ]
        for part in parts
    ]
    stale, retrained = np.mean(pairs, axis=0)
    return float(stale), float(retrained)


def interval(labels: Labels, statistic: Callable[[Floats], float]) -> tuple[float, float]:
    """The 95 % interval of a figure: loans are drawn anew, each class in its number, and both
    models are asked about the same ones. The statistic is told how often each was drawn."""
    draw = np.random.default_rng(_SEED)
    classes = [np.flatnonzero(labels == each) for each in (0, 1)]
    found = []
    for _ in range(_RESAMPLES):
        rows = np.concatenate([draw.choice(each, len(each)) for each in classes])
        found.append(statistic(np.bincount(rows, minlength=len(labels)).astype(np.float64)))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def noticed(loans: pd.DataFrame, new: Mask) -> list[tuple[str, drift.Drift]]:
    """The first windows of new loans, and one of old loans, against the stale model's reference."""
    dataset = MODEL.dataset
    matrix = MODEL.schema.from_columns(dataset.columns(loans))
    held_out = evaluate.held_out(dataset, loans)
    learnt = ~new & ~held_out
    model = fit.pipeline(MODEL.schema).fit(matrix[learnt], dataset.labels(loans)[learnt])
    scored = loans.assign(**{SCORE: model.predict_proba(matrix)[:, 1]})
    reference = Reference.of(MODEL.schema, loans[~new], scored[SCORE][~new & held_out])
    old = scored[~new & held_out]
    arrived = scored[new].sort_values([dataset.time, dataset.key])
    windows = [(f"the first {rows} new loans", arrived.head(rows)) for rows in _WINDOWS]
    windows.append((f"{_WINDOWS[-1]} old loans that were held out", old.head(_WINDOWS[-1])))
    return [(name, drift.measure(reference, window)) for name, window in windows]


@dataclass(frozen=True)
class Decided:
    """New loans that were held out of both models, and which of them each calls bad, by the
    threshold that it brings along, as the road fits it."""

    asked: Mask
    called: dict[str, Mask]
    thresholds: dict[str, float]


def decided(loans: pd.DataFrame, new: Mask) -> Decided:
    dataset = MODEL.dataset
    matrix = MODEL.schema.from_columns(dataset.columns(loans))
    labels = dataset.labels(loans)
    asked = new & evaluate.held_out(dataset, loans)
    called, thresholds = {}, {}
    for name, learnt in (("stale", ~new), ("retrained", ~asked)):
        model = fit.fit(MODEL.schema, matrix[learnt], labels[learnt])
        thresholds[name] = model.threshold
        called[name] = asked & (model.pipeline.predict_proba(matrix)[:, 1] >= model.threshold)
    return Decided(asked, called, thresholds)


def rates(labels: Labels, found: list[Decided], name: str, times: Floats) -> tuple[float, float]:
    """Recall and false positives of one model, the means over the partitions."""
    bad = times * labels
    recalls = [bad[each.called[name]].sum() / bad[each.asked].sum() for each in found]
    wrong = [(times - bad)[each.called[name]].sum() for each in found]
    return float(np.mean(recalls)), float(np.mean(wrong))


def draw_picture(file: Path, labels: Labels, parts: list[Partition], told: pd.DataFrame) -> None:
    """False positives by recall of the headline, and the reductions of every scenario."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    recalls = np.linspace(0.3, 0.95, 40)
    ones = np.ones(len(labels))
    curves = np.array([compared(labels, parts, ones, recall) for recall in recalls])
    for name, curve, style in zip(("stale", "retrained"), curves.T, ("--", "-"), strict=True):
        left.plot(recalls, curve, style, label=name)
    left.axvline(RECALL, color="0.7", linewidth=1)
    left.set(title=HEADLINE, xlabel="share of the bad loans found", ylabel="good loans called bad")
    left.legend()
    places = np.arange(len(told))[::-1]
    value, low, high = (100 * told[name] for name in ("value", "low", "high"))
    right.errorbar(value, places, xerr=[value - low, high - value], fmt="o", capsize=3)
    right.axvline(0, color="0.7", linewidth=1)
    right.axvline(15, color="0.7", linewidth=1, linestyle=":")
    right.set(
        title=f"fewer false positives at {RECALL:.0%} recall",
        xlabel="% (95 % interval; dotted: the goal of 15 %)",
        yticks=places,
        yticklabels=told["name"],
    )
    figure.savefig(file, dpi=110)


def main(picture: Path | None = None) -> None:
    loans = MODEL.dataset.load()
    labels = MODEL.dataset.labels(loans)
    ones = np.ones(len(labels))
    told, of_headline = [], []
    print("| the new loans have | old loans (bad) | new loans (bad) | stale | retrained | fewer |")
    print("|---|---|---|---|---|---|")
    for name, chance in SCENARIOS.items():
        parts = [partition(loans, chance(loans), number) for number in range(PARTITIONS)]
        of_headline = of_headline or parts
        stale, retrained = compared(labels, parts, ones, RECALL)
        value, (low, high) = (
            reduction(stale, retrained),
            interval(
                labels,
                lambda times, parts=parts: reduction(*compared(labels, parts, times, RECALL)),
            ),
        )
        new = parts[0].new
        sides = [f"{side.sum():,} ({labels[side].sum()})" for side in (~new, new)]
        fewer = f"{value:.1%} ({low:.1%} to {high:.1%})"
        print(
            f"| {name} | {' | '.join(sides)} | {stale:,.0f} | {retrained:,.0f} | {fewer} |",
            flush=True,
        )
        told.append({"name": name, "value": value, "low": low, "high": high})
    print("\n| window | verdict | drifted |\n|---|---|---|")
    for name, found in noticed(loans, of_headline[0].new):
        print(f"| {name} | {found.verdict} | {', '.join(found.drifted)} |")
    print("\n| model | its own threshold | recall | false positives |\n|---|---|---|---|")
    found = [decided(loans, part.new) for part in of_headline]
    for name in ("stale", "retrained"):
        recall, wrong = rates(labels, found, name, ones)
        limits = ", ".join(f"{each.thresholds[name]:.3f}" for each in found)
        print(f"| {name} | {limits} | {recall:.1%} | {wrong:,.0f} |")

    def change(times: Floats) -> list[float]:
        (stale, wrong), (retrained, fewer) = (
            rates(labels, found, name, times) for name in ("stale", "retrained")
        )
        return [reduction(wrong, fewer), stale - retrained]

    for place, name in enumerate(("fewer false positives", "recall lost")):
        low, high = interval(labels, lambda times, place=place: change(times)[place])
        print(f"\n{name}: {change(ones)[place]:.1%} ({low:.1%} to {high:.1%})")
    if picture is not None:
        draw_picture(picture, labels, of_headline, pd.DataFrame(told))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
