"""Robustness: what noise in the input does to a model's scores and to its AUC."""

from typing import Any

import numpy as np

from app.evaluate import Scored, auc
from app.schema import Category, Matrix, Number, Schema
from app.serving import model as served

LEVELS = (0.01, 0.05, 0.1, 0.25)
"""Shift of a number in its standard deviations, and chance of another word for a category."""

_REPEATS = 5
_SEED = 20160331


def robustness(model: served.Model, scored: Scored) -> list[dict[str, float]]:
    """For each level of noise, the mean over some draws of what changes on those rows."""
    draw = np.random.default_rng(_SEED)
    before = auc(scored.labels, scored.scores)
    found: list[dict[str, float]] = []
    for level in LEVELS:
        noisy = [model.score(disturb(model.schema, scored.matrix, level, draw))
                 for _ in range(_REPEATS)]  # fmt: skip
        shifts = np.abs(np.array(noisy) - scored.scores)
        calls = np.array(noisy) >= scored.threshold
        mean = float(np.mean([auc(scored.labels, scores) for scores in noisy]))
        figures: dict[str, Any] = {
            "auc": mean,
            "auc_change": mean - before,
            "mean_score_change": shifts.mean(),
            "largest_score_change": shifts.max(),
            "decisions_changed": (calls != scored.decisions).mean(),
        }
        found.append(
            {"noise": level, **{name: round(float(value), 6) for name, value in figures.items()}}
        )
    return found


def disturb(schema: Schema, matrix: Matrix, level: float, draw: np.random.Generator) -> Matrix:
    """The model's input (rows, features) with noise; every value stays one that is allowed."""
    noisy = matrix.copy()
    rows = len(matrix)
    for place, feature in enumerate(schema.features):
        column = noisy[:, place]
        if isinstance(feature, Category):
            others = draw.integers(0, len(feature.values), rows)
            noisy[:, place] = np.where(draw.random(rows) < level, others, column)
        else:
            shifted = column + draw.normal(0, level, rows) * column.std()
            noisy[:, place] = np.clip(shifted, *_bounds(feature))
    return noisy


def _bounds(feature: Number) -> tuple[float, float]:
    if feature.log:
        return float(np.log1p(feature.low)), float(np.log1p(feature.high))
    return feature.low, feature.high
