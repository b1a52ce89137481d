"""Train: a snapshot in, an MLflow run with the model's files out; same in, same out."""

import os
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import msgspec
import numpy as np
import onnx
import pandas as pd
import typer
from mlflow.exceptions import MlflowException

from app import (
    champion,
    commit,
    console,
    convert,
    definition,
    evaluate,
    evidence,
    fit,
    runs,
    snapshots,
    soundness,
    verdict,
    weights,
)
from app.dataset import Dataset
from app.definition import Definition
from app.serving import model as served

_GOLDEN_ROWS = 8


def build(
    model: Definition, table: pd.DataFrame, data_sha256: str, folder: Path
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Fit, convert, compare and evaluate; write the model's files into the empty `folder`.

    Gives the ONNX graph and the evidence: evaluation, largest difference, digest of the files.
    Raises `console.Refused` when ONNX and scikit-learn disagree or a class is missing.
    """
    schema, dataset = model.schema, model.dataset
    matrix = schema.from_columns(dataset.columns(table))
    labels = dataset.labels(table)
    held_out = evaluate.held_out(dataset, table)
    console.progress.print(f"fitting on {np.count_nonzero(~held_out)} rows")
    fitted = fit.fit(schema, matrix[~held_out], labels[~held_out])
    graph = convert.convert(fitted.pipeline, model.name, len(schema.features))
    difference = convert.largest_difference(graph, fitted.pipeline, matrix[held_out])
    scores = convert.score(graph, matrix[held_out])
    console.progress.print(f"evaluating on {np.count_nonzero(held_out)} held-out rows")
    evaluation = evaluate.measure(labels[held_out], scores, fitted.threshold, fitted.base_rate)
    info = served.Info(
        name=model.name,
        schema=schema.document(),
        data_sha256=data_sha256,
        threshold=fitted.threshold,
        base_rate=fitted.base_rate,
        metrics=msgspec.convert(evaluation["metrics"], served.Metrics),
        key=dataset.key,
    )
    golden = served.Golden(
        rows=_golden_rows(dataset, table[held_out]),
        probabilities=[round(float(score), 6) for score in scores[:_GOLDEN_ROWS]],
    )
    (folder / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    for name, document in (("model.json", info), ("golden.json", golden)):
        (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    digest = weights.digest(folder)
    served.load(folder, digest)
    return graph, {
        "evaluation": evaluation,
        "onnx_max_difference": difference,
        "weights": digest,
        "training_rows": int(np.count_nonzero(~held_out)),
    }


def _golden_rows(dataset: Dataset, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the self-test, in the table's order, as plain Python values."""
    columns = dataset.columns(table.head(_GOLDEN_ROWS))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _joined(model: Definition, table: pd.DataFrame) -> pd.DataFrame:
    from app import features  # Feast takes seconds, in vain where a table is refused

    return features.training_frame(model, table)


def main(
    model: definition.Name,
    snapshot: snapshots.File = None,
    as_json: console.AsJson = False,
) -> None:
    """Train on a snapshot and log everything that a release needs to MLflow."""
    with console.exit_codes(*snapshots.UNAVAILABLE, MlflowException):
        chosen = definition.find(model)
        revision = commit.find()
        bucket = snapshots.Bucket()
        reference = snapshots.chosen(bucket, chosen, snapshot)
        table = snapshots.read(bucket, reference)
        soundness.check_table(chosen, table)
        console.progress.print("joining each row with its features as of its day")
        table = _joined(chosen, table)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            graph, built = build(chosen, table, reference.sha256, folder)
            soundness.check_signal(built["evaluation"])
            judged = evidence.collect(
                chosen,
                table,
                served.load(folder, built["weights"]),
                {
                    **reference.reference,
                    "weights": built["weights"],
                    "commit": revision[0],
                    "dirty": revision[1],
                },
                champion.find(mlflow.MlflowClient(), chosen.name),
                bucket.get(verdict.key(reference.key, reference.sha256)),
            )
            console.progress.print("logging to MLflow")
            # The uv project that MLflow would find is that of the working directory, not ours.
            os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
            # Stdout is for the result alone.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            if "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` has begun the run already
                mlflow.set_experiment(chosen.name)
            with mlflow.start_run():
                run = runs.log(
                    chosen, reference, bucket.name, table, folder, graph, built, judged, revision
                )
        document = {
            "run": run,
            "data": reference.reference,
            **built,
            "champion": judged.metrics["champion"],
        }
        console.emit(document, as_json)


if __name__ == "__main__":
    typer.run(main)
