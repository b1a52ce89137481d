"""Evaluate: how good scores are on held-out rows, with intervals and a baseline, as JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import typer
from scipy.stats import rankdata

from app import console, definition, snapshots, weights
from app.dataset import Dataset, stable_hash
from app.schema import Matrix
from app.serving import model as served

Scores = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_] | npt.NDArray[np.int64]

_RESAMPLES = 500
_HELD_OUT_PERCENT = 25


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Rows with their truth and what a model says of them; all parts are equally long."""

    table: pd.DataFrame
    matrix: Matrix
    labels: Labels
    scores: Scores
    threshold: float

    @property
    def decisions(self) -> npt.NDArray[np.bool_]:
        """Whether each row is called positive."""
        return self.scores >= self.threshold

    def only(self, rows: Rows) -> Self:
        """The part with those rows, given as a mask or as row numbers."""
        return type(self)(
            table=self.table.iloc[np.arange(len(self.table))[rows]],
            matrix=self.matrix[rows],
            labels=self.labels[rows],
            scores=self.scores[rows],
            threshold=self.threshold,
        )


def score(dataset: Dataset, table: pd.DataFrame, model: served.Model) -> Scored:
    """Every row of the table as the served model scores it."""
    matrix = model.schema.from_columns({name: table[name].tolist() for name in model.schema.names})
    return Scored(
        table=table,
        matrix=matrix,
        labels=dataset.labels(table),
        scores=model.score(matrix),
        threshold=model.info.threshold,
    )


def is_held_out(key: int) -> bool:
    """Whether a row is for evaluation: by hash, so it never changes sides as the table grows."""
    return stable_hash(key, "split") % 100 < _HELD_OUT_PERCENT


def held_out(dataset: Dataset, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """The rows that are for evaluation, as a mask (rows,)."""
    return np.array([is_held_out(key) for key in table[dataset.key]], np.bool_)


def measure(labels: Labels, scores: Scores, threshold: float, base_rate: float) -> dict[str, Any]:
    """Metrics of probabilities (rows,) against 0/1 labels, each with a 95% bootstrap interval.

    `base_rate` is the share of positive rows in training, which the baseline says of everyone.
    Raises `console.Refused` when only one class is present.
    """
    if len(np.unique(labels)) < 2:
        raise console.Refused(f"{len(labels)} held-out rows of one class cannot be evaluated")
    constant = np.full(len(labels), base_rate)
    return {
        "rows": len(labels),
        "positives": int(labels.sum()),
        "threshold": threshold,
        "metrics": intervals(labels, lambda rows: metrics(labels[rows], scores[rows], threshold)),
        # The baseline calls nobody positive, so its accuracy is the share of the negative.
        "baseline": {
            name: round(value, 6) for name, value in metrics(labels, constant, 1.0).items()
        },
    }


def compare(labels: Labels, scores: Scores, threshold: float, other: Scored) -> dict[str, Any]:
    """Differences of the metrics from those of another model on the same rows, with intervals.

    Both are measured in the same resamples, so what makes a row hard does not blur the difference.
    """

    def differences(rows: Rows) -> dict[str, float]:
        mine = metrics(labels[rows], scores[rows], threshold)
        theirs = metrics(labels[rows], other.scores[rows], other.threshold)
        return {name: mine[name] - theirs[name] for name in mine}

    return intervals(labels, differences)


def intervals(
    labels: Labels, statistic: Callable[[Rows], dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Each figure that `statistic` gives for row numbers: its value on all rows, and the 95%
    interval of a bootstrap in which each class keeps its size."""
    found = statistic(np.arange(len(labels)))
    spread = [statistic(rows) for rows in _resamples(labels.tobytes())]
    return {name: interval(value, [each[name] for each in spread]) for name, value in found.items()}


def interval(value: float, spread: list[float]) -> dict[str, float]:
    """A figure with the 95% interval of its resampled values."""
    low, high = np.percentile(spread, [2.5, 97.5])
    return {"value": round(value, 6), "low": round(float(low), 6), "high": round(float(high), 6)}


def metrics(labels: Labels, scores: Scores, threshold: float) -> dict[str, float]:
    """The figures themselves; both classes must be present."""
    # By hand, as scikit-learn defines them: its checks would take seconds over all resamples.
    # Clipped as there, so that one certain and wrong score does not make the loss infinite.
    scores = np.clip(scores.astype(np.float64), 1e-15, 1 - 1e-15)
    hits = (scores >= threshold) == labels
    positive = labels == 1
    return {
        "auc": auc(labels, scores),
        "log_loss": float(-np.log(np.where(positive, scores, 1 - scores)).mean()),
        "brier": float(np.square(scores - labels).mean()),
        "accuracy": float(hits.mean()),
        "balanced_accuracy": float((hits[positive].mean() + hits[~positive].mean()) / 2),
    }


def auc(labels: Labels, scores: Scores) -> float:
    """The chance that a positive row scores above a negative one; a tie counts half."""
    positive = labels == 1
    positives, negatives = np.count_nonzero(positive), np.count_nonzero(~positive)
    above = rankdata(scores)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


@lru_cache(maxsize=4)
def _resamples(labels: bytes) -> tuple[npt.NDArray[np.int64], ...]:
    """Row numbers of stratified resamples; the same for the same labels."""
    draw = np.random.default_rng(20160331)
    truth = np.frombuffer(labels, np.int64)
    classes = [rows for rows in (np.flatnonzero(truth == label) for label in (0, 1)) if len(rows)]
    return tuple(
        np.concatenate([draw.choice(rows, len(rows)) for rows in classes])
        for _ in range(_RESAMPLES)
    )


def main(
    model: definition.Name,
    folder: Annotated[Path, typer.Option(help="Folder with the model's files.")],
    snapshot: snapshots.File = None,
    as_json: console.AsJson = False,
) -> None:
    """Score the held-out rows of a snapshot with a model's own files and print the metrics."""
    with console.exit_codes(*snapshots.UNAVAILABLE):
        bucket = snapshots.Bucket()
        wanted = definition.find(model)
        dataset = wanted.dataset
        table = snapshots.read(bucket, snapshots.chosen(bucket, wanted, snapshot))
        loaded = served.load(folder, weights.digest(folder))
        found = score(dataset, table[held_out(dataset, table)], loaded)
        console.emit(
            measure(found.labels, found.scores, found.threshold, loaded.info.base_rate), as_json
        )


if __name__ == "__main__":
    typer.run(main)
