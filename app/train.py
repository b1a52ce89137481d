"""Train: a snapshot in, an MLflow run with the model's files out; same in, same out."""

import json
import os
import subprocess
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import mlflow
import mlflow.onnx
import msgspec
import numpy as np
import onnx
import pandas as pd
import typer
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from app import console, convert, definition, evaluate, fit, snapshots, weights
from app.dataset import Dataset
from app.definition import Definition
from app.schema import Schema as InputSchema
from app.serving import model as served

_GOLDEN_ROWS = 8
_RUNTIME = ("numpy", "onnx", "onnxruntime")


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
    held_out = np.array([evaluate.is_held_out(key) for key in table[dataset.key]])
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


def log(
    model: Definition,
    snapshot: snapshots.Snapshot,
    bucket_name: str,
    table: pd.DataFrame,
    folder: Path,
    graph: onnx.ModelProto,
    evidence: dict[str, Any],
) -> str:
    """Log parameters, metrics, dataset and model of the active MLflow run; give the run's id."""
    commit, dirty = _commit()
    mlflow.set_tags(
        {
            "ferry.commit": commit,
            "ferry.dirty": str(dirty).lower(),
            "ferry.data": json.dumps(snapshot.reference),
            "ferry.features": model.schema.hash(),
            "ferry.weights": evidence["weights"],
        }
    )
    evaluation = evidence["evaluation"]
    mlflow.log_params(
        {
            "model": "logistic regression",
            "C": fit.C,
            "seed": fit.SEED,
            "threshold": evaluation["threshold"],
            "training_rows": evidence["training_rows"],
            "held_out_rows": evaluation["rows"],
        }
    )
    metrics = {"onnx_max_difference": evidence["onnx_max_difference"]}
    for name, interval in evaluation["metrics"].items():
        metrics |= {
            name: interval["value"],
            f"{name}_low": interval["low"],
            f"{name}_high": interval["high"],
            f"baseline_{name}": evaluation["baseline"][name],
        }
    mlflow.log_metrics(metrics)
    mlflow.log_dict(evaluation, "metrics.json")
    _log_input(model, table, snapshot, bucket_name)
    # What is served, exactly; the logged model below is the same graph for MLflow's own clients.
    mlflow.log_artifacts(str(folder), weights.MODEL_FOLDER)
    mlflow.onnx.log_model(
        graph,
        name="onnx",
        signature=_signature(model.schema),
        input_example=_example(model.dataset, table),
        # Given, because inferring them installs and imports everything once more.
        pip_requirements=[f"{name}=={version(name)}" for name in _RUNTIME],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("log needs an active MLflow run")
    return run.info.run_id


def _log_input(
    model: Definition, table: pd.DataFrame, snapshot: snapshots.Snapshot, bucket: str
) -> None:
    data = from_pandas(
        table,
        source=f"s3://{bucket}/{snapshot.key}?versionId={snapshot.version_id}",
        name=snapshot.key,
        targets=model.schema.target,
        digest=snapshot.sha256[:8],
    )
    with warnings.catch_warnings():
        # MLflow advises floats wherever integers might be missing; here none may be.
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer")
        mlflow.log_input(data, context="training")


def _golden_rows(dataset: Dataset, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the self-test, in the table's order, as plain Python values."""
    columns = dataset.columns(table.head(_GOLDEN_ROWS))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _signature(schema: InputSchema) -> ModelSignature:
    """The model's input columns after conversion, in order, and its one output."""
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.double, name) for name in schema.names]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.float, "probability")]))


def _example(dataset: Dataset, table: pd.DataFrame) -> pd.DataFrame:
    matrix = dataset.schema.from_rows(_golden_rows(dataset, table)[:2])
    return pd.DataFrame(matrix.astype(np.float64), columns=pd.Index(dataset.schema.names))


def _commit() -> tuple[str, bool]:
    """The commit of the working tree, and whether tracked files differ from it."""
    here = Path(__file__).parent
    try:
        answers = [
            subprocess.run(
                ["git", *arguments],
                cwd=here,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            for arguments in (
                ("rev-parse", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no", "--", "."),
            )
        ]
    except (OSError, subprocess.CalledProcessError) as error:
        raise console.Refused(
            f"the code's commit is unknown ({error}); train in a Git working tree with a commit"
        ) from error
    return answers[0], bool(answers[1])


def main(
    model: definition.Name,
    snapshot: Annotated[
        Path | None, typer.Option(help="File with the snapshot's reference; else the newest day's.")
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Train on a snapshot and log everything that a release needs to MLflow."""
    with console.exit_codes(*snapshots.UNAVAILABLE, MlflowException):
        chosen = definition.find(model)
        _commit()
        bucket = snapshots.Bucket()
        reference = snapshots.chosen(bucket, chosen.dataset, snapshot)
        table = snapshots.read(bucket, reference)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            graph, evidence = build(chosen, table, reference.sha256, folder)
            console.progress.print("logging to MLflow")
            # The uv project that MLflow would find is that of the working directory, not ours.
            os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
            # Stdout is for the result alone.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            if "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` has begun the run already
                mlflow.set_experiment(chosen.name)
            with mlflow.start_run():
                run = log(chosen, reference, bucket.name, table, folder, graph, evidence)
        document = {"run": run, "data": reference.reference, **evidence}
        console.emit(document, as_json)


if __name__ == "__main__":
    typer.run(main)
