"""Privacy: whether scores betray who was trained on, and what hiding it for certain would cost."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from app import fit
from app.evaluate import Labels, Rows, Scored, Scores, auc, intervals
from app.schema import Category, Matrix, Schema

SHADOWS = 16
"""Models that the stronger attack trains to learn how scores look with and without a row."""

EPSILONS = (1.0, 10.0)
REGULARISATION = 0.001
"""Strength for the private baseline; the noise falls with it, and so does what it can learn."""

_DRAWS = 20
_SEED = 20160331


def membership(schema: Schema, trained_on: Scored, held_out: Scored) -> dict[str, Any]:
    """Two attacks that guess from a row's score and label whether it was trained on.

    For each: `auc` is the chance that a member looks more like one than a stranger, 0.5 for a
    coin; `advantage` is the true minus the false positive rate of its guesses, 0 for a coin.
    `threshold`: Yeom et al., "Privacy risk in machine learning" (2018): a row is a member if its
    loss is at most the mean loss of training. `likelihood_ratio`: Carlini et al., "Membership
    inference attacks from first principles" (2022), with shadow models and one variance for all.
    """
    members = np.concatenate(
        [np.ones(len(trained_on.labels), np.int64), np.zeros(len(held_out.labels), np.int64)]
    )
    labels = np.concatenate([trained_on.labels, held_out.labels])
    scores = np.concatenate([trained_on.scores, held_out.scores])
    matrix = np.concatenate([trained_on.matrix, held_out.matrix])
    confidence = _confidence(labels, scores)
    # A loss is at most the mean exactly where its negative is at least the mean's negative.
    loss = np.log1p(np.exp(-confidence))
    limit = loss[members == 1].mean()
    return {
        "members": int(members.sum()),
        "strangers": int(len(members) - members.sum()),
        "threshold": _attack(members, -loss, -limit),
        "likelihood_ratio": {
            **_attack(members, _likelihood_ratio(schema, matrix, labels, confidence), 0.0),
            "shadow_models": SHADOWS,
        },
    }


def _attack(members: Labels, evidence: Scores, limit: float) -> dict[str, Any]:
    guesses = evidence >= limit

    def figures(rows: Rows) -> dict[str, float]:
        inside, guess = members[rows] == 1, guesses[rows]
        return {
            "auc": auc(members[rows], evidence[rows]),
            "advantage": float(guess[inside].mean() - guess[~inside].mean()),
        }

    return dict(intervals(members, figures))


def _confidence(labels: Labels, scores: Scores) -> npt.NDArray[np.float64]:
    """The log odds that a model gives to the truth."""
    scores = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
    odds = np.log(scores) - np.log1p(-scores)
    return np.where(labels == 1, odds, -odds)


def _likelihood_ratio(
    schema: Schema, matrix: Matrix, labels: Labels, confidence: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Log of how much likelier each row's confidence is if it was trained on."""
    inside = _halves(labels)
    found = np.array(
        [
            _confidence(
                labels,
                fit.pipeline(schema).fit(matrix[half], labels[half]).predict_proba(matrix)[:, 1],
            )
            for half in inside
        ]
    )
    parts = []
    for chosen in (inside, ~inside):
        mean = np.where(chosen, found, 0).sum(0) / np.maximum(chosen.sum(0), 1)
        deviation = np.sqrt(np.square(found - mean)[chosen].mean())
        parts.append(norm.logpdf(confidence, mean, max(deviation, 1e-9)))
    return parts[0] - parts[1]


def _halves(labels: Labels) -> npt.NDArray[np.bool_]:
    """Which rows each shadow model trains on, (shadows, rows): half of each class, and each row
    in exactly half of the models."""
    draw = np.random.default_rng(_SEED)
    inside = np.zeros((SHADOWS, len(labels)), np.bool_)
    for pair in range(0, SHADOWS, 2):
        for label in (0, 1):
            rows = draw.permutation(np.flatnonzero(labels == label))
            inside[pair, rows[: (len(rows) + 1) // 2]] = True
        inside[pair + 1] = ~inside[pair]
    return inside


def private_baseline(schema: Schema, trained_on: Scored, held_out: Scored) -> list[dict[str, Any]]:
    """The mean AUC of differentially private regressions on the same rows, by their epsilon.

    Output perturbation, algorithm 1 of Chaudhuri, Monteleoni and Sarwate, "Differentially private
    empirical risk minimization" (2011): noise with density exp(-n lambda epsilon |b| / 2) on the
    weights of a regression over rows of norm at most 1. Scaling uses declared bounds alone, so it
    gives nothing away.
    """
    rows, others = _bounded(schema, trained_on.matrix), _bounded(schema, held_out.matrix)
    count = len(rows)
    regression = LogisticRegression(
        C=1 / (REGULARISATION * count), fit_intercept=False, solver="newton-cholesky", tol=1e-10
    ).fit(rows, trained_on.labels)
    weights = regression.coef_[0]
    draw = np.random.default_rng(_SEED)
    exact = auc(held_out.labels, others @ weights)
    found: list[dict[str, Any]] = [{"epsilon": None, "auc": round(exact, 6)}]
    for epsilon in EPSILONS:
        areas = [
            auc(held_out.labels, others @ (weights + noise(len(weights), count, epsilon, draw)))
            for _ in range(_DRAWS)
        ]
        found.append({"epsilon": epsilon, "auc": round(float(np.mean(areas)), 6)})
    return found


def noise(
    weights: int, rows: int, epsilon: float, draw: np.random.Generator
) -> npt.NDArray[np.float64]:
    """What hides any single one of `rows` rows in that many weights."""
    direction = draw.normal(size=weights)
    length = draw.gamma(weights, 2 / (rows * REGULARISATION * epsilon))
    return direction / np.linalg.norm(direction) * length


def _bounded(schema: Schema, matrix: Matrix) -> npt.NDArray[np.float64]:
    """Rows of norm at most 1: numbers scaled by their bounds, one column for each word."""
    columns: list[npt.NDArray[np.float64]] = [np.ones(len(matrix))]
    for place, feature in enumerate(schema.features):
        column = matrix[:, place].astype(np.float64)
        if isinstance(feature, Category) and not feature.ordered:
            columns += [column == code for code in range(len(feature.values))]
            continue
        if isinstance(feature, Category):
            low, high = 0.0, len(feature.values) - 1.0
        else:
            low, high = feature.low, feature.high
            if feature.log:
                low, high = float(np.log1p(low)), float(np.log1p(high))
        columns.append((column - low) / (high - low))
    rows = np.column_stack(columns)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)
