"""Slices: how a model does in each part of its table, and whether it treats groups alike."""

from typing import Any

import numpy as np
import numpy.typing as npt

from app.definition import Grouping
from app.evaluate import Labels, Scored, auc, intervals

ENOUGH = 5
"""Rows of a class without which a rate or an AUC says nothing."""

_LOTS = 500
_SEED = 20160331

Words = npt.NDArray[np.object_]


def slices(scored: Scored, groupings: tuple[Grouping, ...]) -> dict[str, dict[str, Any]]:
    """For each split and group: rows, positives, mean score, accuracy and, with enough rows of
    both classes, the AUC with its interval."""
    return {
        split.name: {
            word: _slice(scored.only(words == word)) for word in sorted(set(words.tolist()))
        }
        for split in groupings
        for words in [_words(split, scored)]
    }


def _slice(part: Scored) -> dict[str, Any]:
    enough = min(np.bincount(part.labels, minlength=2)) >= ENOUGH
    figures = intervals(
        part.labels, lambda rows: {"auc": auc(part.labels[rows], part.scores[rows])}
    ) if enough else {"auc": None}  # fmt: skip
    return {
        "rows": len(part.labels),
        "positives": int(part.labels.sum()),
        "mean_score": round(float(part.scores.mean()), 6),
        "accuracy": round(float((part.decisions == part.labels).mean()), 6),
        **figures,
    }


def fairness(scored: Scored, groupings: tuple[Grouping, ...]) -> dict[str, Any]:
    """For each sensitive split the rates of its groups, and by how much they differ at most.

    A largest difference is never nothing, so beside its `value` stands `by_chance`: what 95 of 100
    tables would stay below if the same rows were in groups drawn by lot.
    Groups with less than `ENOUGH` rows of a class are listed, yet do not enter the differences;
    with less than two others a difference is null.
    """
    return {
        "threshold": scored.threshold,
        "rows": len(scored.labels),
        "sensitive": {split.name: _fairness(scored, _words(split, scored)) for split in groupings},
    }


def _fairness(scored: Scored, words: Words) -> dict[str, Any]:
    sizes = {
        word: min(np.bincount(scored.labels[words == word], minlength=2)) for word in set(words)
    }
    large = sorted(word for word, size in sizes.items() if size >= ENOUGH)
    document: dict[str, Any] = {
        "groups": {word: _rates(scored.only(words == word)) for word in sorted(sizes)},
        "too_small": sorted(sizes.keys() - set(large)),
        "demographic_parity_difference": None,
        "equalized_odds_difference": None,
    }
    if len(large) < 2:
        return document
    kept = np.isin(words, large)
    return document | _differences(scored.only(kept), words[kept])


def _rates(part: Scored) -> dict[str, Any]:
    positive = part.labels == 1
    called = part.decisions
    return {
        "rows": len(part.labels),
        "positives": int(positive.sum()),
        "selection_rate": _mean(called),
        "true_positive_rate": _mean(called[positive]),
        "false_positive_rate": _mean(called[~positive]),
    }


def _mean(values: npt.NDArray[np.bool_]) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None


def _differences(scored: Scored, words: Words) -> dict[str, dict[str, float]]:
    from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference

    codes = np.unique(words.astype(str), return_inverse=True)[1]
    labels, called = scored.labels, scored.decisions.astype(np.int64)
    found = {
        "demographic_parity_difference": demographic_parity_difference(
            labels, called, sensitive_features=codes
        ),
        "equalized_odds_difference": equalized_odds_difference(
            labels, called, sensitive_features=codes
        ),
    }
    draw = np.random.default_rng(_SEED)
    lots = [_gaps(draw.permutation(codes), labels, called) for _ in range(_LOTS)]
    return {
        name: {
            "value": round(float(value), 6),
            "by_chance": round(float(np.percentile([lot[name] for lot in lots], 95)), 6),
        }
        for name, value in found.items()
    }


def _gaps(codes: Labels, labels: Labels, called: Labels) -> dict[str, float]:
    """As fairlearn's, without the table that it builds for every draw."""

    def gap(rows: npt.NDArray[np.bool_]) -> float:
        count = np.bincount(codes[rows])
        hits = np.bincount(codes[rows], weights=called[rows])
        rates = hits[count > 0] / count[count > 0]
        return float(rates.max() - rates.min())

    return {
        "demographic_parity_difference": gap(np.ones(len(labels), np.bool_)),
        "equalized_odds_difference": max(gap(labels == 1), gap(labels == 0)),
    }


def _words(split: Grouping, scored: Scored) -> Words:
    # A row that a split does not know of must not vanish from it.
    return split.of(scored.table).fillna("unknown").astype(str).to_numpy(np.object_)
