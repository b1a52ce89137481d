"""Fit: the model itself, a calibrated logistic regression, and the threshold of its decision."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from app.schema import Category, Matrix, Schema

C = 0.01
"""Inverse strength of the regularisation; the best of 0.01, 0.1 and 1 in cross-validation."""

SEED = 20160331

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted pipeline from the model's input to class probabilities, and how to decide."""

    pipeline: Pipeline
    threshold: float
    base_rate: float


def fit(schema: Schema, matrix: Matrix, labels: Labels) -> Fitted:
    """Fit on (rows, features) float32 and 0/1 labels; deterministic.

    The classes are not reweighted: with one positive row in twenty that would ruin the
    probabilities. The imbalance is met where it matters, in the threshold, which maximises
    sensitivity plus specificity over out-of-fold scores of the training rows.
    """
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    scores = cross_val_predict(pipeline(schema), matrix, labels, cv=folds, method="predict_proba")
    false_bad, true_bad, thresholds = roc_curve(labels, np.asarray(scores)[:, 1])
    best = float(thresholds[np.argmax(true_bad - false_bad)])
    fitted = pipeline(schema).fit(matrix, labels)
    regression = fitted["regression"]
    # Other CPUs add up in another order; without the last digits the weights are still the same.
    regression.coef_ = np.round(regression.coef_, 6)
    regression.intercept_ = np.round(regression.intercept_, 6)
    return Fitted(
        pipeline=fitted, threshold=round(best, 6), base_rate=round(float(labels.mean()), 6)
    )


def pipeline(schema: Schema) -> Pipeline:
    """The model before it is fitted: scaled numbers, a column for each word, the regression."""
    words = [
        place
        for place, feature in enumerate(schema.features)
        if isinstance(feature, Category) and not feature.ordered
    ]
    categories = [
        np.arange(len(feature.values), dtype=np.float32)
        for feature in schema.features
        if isinstance(feature, Category) and not feature.ordered
    ]
    numbers = [place for place in range(len(schema.features)) if place not in words]
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), numbers),
            ("words", OneHotEncoder(categories=categories, sparse_output=False), words),
        ]
    )
    # Newton's method meets the one optimum; lbfgs stops wherever its tolerance lets it.
    regression = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=100)
    return Pipeline([("columns", columns), ("regression", regression)])
