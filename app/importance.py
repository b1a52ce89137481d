"""Importance: how much each feature moves a model's scores, by Shapley values."""

from typing import TYPE_CHECKING

import numpy as np

from app.randomness import seeded
from app.schema import Matrix
from app.serving import model as served

if TYPE_CHECKING:
    import shap

_EXPLAINED = 200
_BACKGROUND = 50
_DRAWS = 20
"""Scorings for each feature of a row."""

_SEED = 20160331


def explain(model: served.Model, known: Matrix, rows: Matrix) -> "shap.Explanation":
    """Shapley values of the served model itself for some of `rows`, (rows, features).

    A feature is left out by putting values of `known` rows in its place.
    """
    import shap  # over a second

    draw = np.random.default_rng(_SEED)
    background, explained = _some(known, _BACKGROUND, draw), _some(rows, _EXPLAINED, draw)
    # The sampling explainer: the permutation one compiles for seconds in every process.
    explainer = shap.SamplingExplainer(
        lambda matrix: model.score(np.asarray(matrix, np.float32)), background.astype(np.float64)
    )
    with seeded(_SEED):
        values = explainer.shap_values(
            explained.astype(np.float64), nsamples=_DRAWS * known.shape[1], silent=True
        )
    return shap.Explanation(
        values=values,
        base_values=np.full(len(explained), explainer.expected_value),
        data=explained,
        feature_names=list(model.schema.names),
    )


def ranking(explanation: "shap.Explanation") -> dict[str, float]:
    """The mean size of each feature's share in a score, largest first."""
    sizes = np.abs(explanation.values).mean(0)
    order = np.argsort(-sizes, kind="stable")
    return {explanation.feature_names[place]: round(float(sizes[place]), 6) for place in order}


def _some(rows: Matrix, count: int, draw: np.random.Generator) -> Matrix:
    return rows[np.sort(draw.choice(len(rows), min(count, len(rows)), replace=False))]
