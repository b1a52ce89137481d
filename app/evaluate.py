"""Evaluate: how good scores are on held-out rows, with intervals and a baseline, as JSON."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from scipy.stats import rankdata

from app import console, definition, snapshots, weights
from app.dataset import stable_hash
from app.serving import model as served

Scores = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

_RESAMPLES = 500
_HELD_OUT_PERCENT = 25


def is_held_out(key: int) -> bool:
    """Whether a row is for evaluation: by hash, so it never changes sides as the table grows."""
    return stable_hash(key, "split") % 100 < _HELD_OUT_PERCENT


def measure(labels: Labels, scores: Scores, threshold: float, base_rate: float) -> dict[str, Any]:
    """Metrics of probabilities (rows,) against 0/1 labels, each with a 95% bootstrap interval.

    `base_rate` is the share of positive rows in training, which the baseline says of everyone.
    Raises `console.Refused` when only one class is present.
    """
    if len(np.unique(labels)) < 2:
        raise console.Refused(f"{len(labels)} held-out rows of one class cannot be evaluated")
    # As in scikit-learn, so that one certain and wrong score does not make the loss infinite.
    scores = np.clip(scores.astype(np.float64), 1e-15, 1 - 1e-15)
    found = _metrics(labels, scores, threshold)
    spread = [_metrics(labels[rows], scores[rows], threshold) for rows in _resamples(labels)]
    intervals = {
        name: np.percentile([metrics[name] for metrics in spread], [2.5, 97.5]) for name in found
    }
    constant = np.full(len(labels), base_rate)
    return {
        "rows": len(labels),
        "positives": int(labels.sum()),
        "threshold": threshold,
        "metrics": {
            name: {
                "value": round(value, 6),
                "low": round(float(intervals[name][0]), 6),
                "high": round(float(intervals[name][1]), 6),
            }
            for name, value in found.items()
        },
        # The baseline calls nobody positive, so its accuracy is the share of the negative.
        "baseline": {
            name: round(value, 6) for name, value in _metrics(labels, constant, 1.0).items()
        },
    }


def _metrics(labels: Labels, scores: Scores, threshold: float) -> dict[str, float]:
    # By hand, as scikit-learn defines them: its checks would take seconds over all resamples.
    hits = (scores >= threshold) == labels
    positive = labels == 1
    pairs = np.count_nonzero(positive) * np.count_nonzero(~positive)
    above = (
        rankdata(scores)[positive].sum()
        - np.count_nonzero(positive) * (np.count_nonzero(positive) + 1) / 2
    )
    return {
        "auc": float(above / pairs),
        "log_loss": float(-np.log(np.where(positive, scores, 1 - scores)).mean()),
        "brier": float(np.square(scores - labels).mean()),
        "accuracy": float(hits.mean()),
        "balanced_accuracy": float((hits[positive].mean() + hits[~positive].mean()) / 2),
    }


def _resamples(labels: Labels) -> list[npt.NDArray[np.int64]]:
    """Row numbers of stratified resamples: each class keeps its size."""
    draw = np.random.default_rng(20160331)
    classes = [np.flatnonzero(labels == label) for label in (0, 1)]
    return [
        np.concatenate([draw.choice(rows, len(rows)) for rows in classes])
        for _ in range(_RESAMPLES)
    ]


def main(
    model: definition.Name,
    folder: Annotated[Path, typer.Option(help="Folder with the model's files.")],
    snapshot: Annotated[
        Path | None, typer.Option(help="File with the snapshot's reference; else the newest day's.")
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Score the held-out rows of a snapshot with a model's own files and print the metrics."""
    with console.exit_codes(*snapshots.UNAVAILABLE):
        bucket = snapshots.Bucket()
        dataset = definition.find(model).dataset
        table = snapshots.read(bucket, snapshots.chosen(bucket, dataset, snapshot))
        held_out = table[[is_held_out(key) for key in table[dataset.key]]]
        loaded = served.load(folder, weights.digest(folder))
        scores = loaded.score(loaded.schema.from_columns(dataset.columns(held_out)))
        labels = dataset.labels(held_out)
        found = measure(labels, scores, loaded.info.threshold, loaded.info.base_rate)
        console.emit(found, as_json)


if __name__ == "__main__":
    typer.run(main)
