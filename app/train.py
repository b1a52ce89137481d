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
import numpy.typing as npt
import onnx
import pandas as pd
import typer
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from app import console, convert, evaluate, features, fit, snapshots, weights
from app.serving import model as served

MODEL = "credit-default"

_GOLDEN_ROWS = 8
_RUNTIME = ("numpy", "onnx", "onnxruntime")


def build(
    table: pd.DataFrame, data_sha256: str, folder: Path
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Fit, convert, compare and evaluate; write the model's files into the empty `folder`.

    Gives the ONNX graph and the evidence: evaluation, largest difference, digest of the files.
    Raises `console.Refused` when ONNX and scikit-learn disagree or a class is missing.
    """
    matrix = features.from_columns({name: table[name].tolist() for name in features.NAMES})
    labels = _labels(table)
    held_out = np.array([evaluate.is_held_out(loan) for loan in table["loan_id"]])
    console.progress.print(f"fitting on {np.count_nonzero(~held_out)} loans")
    fitted = fit.fit(matrix[~held_out], labels[~held_out])
    graph = convert.convert(fitted.pipeline, MODEL)
    difference = convert.largest_difference(graph, fitted.pipeline, matrix[held_out])
    scores = convert.score(graph, matrix[held_out])
    console.progress.print(f"evaluating on {np.count_nonzero(held_out)} held-out loans")
    evaluation = evaluate.measure(labels[held_out], scores, fitted.threshold, fitted.base_rate)
    info = served.Info(
        name=MODEL,
        features=features.schema_hash(),
        data_sha256=data_sha256,
        threshold=fitted.threshold,
        base_rate=fitted.base_rate,
        metrics=msgspec.convert(evaluation["metrics"], served.Metrics),
    )
    golden = served.Golden(
        rows=_golden_rows(table[held_out]),
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
            "ferry.features": features.schema_hash(),
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
    _log_input(table, snapshot, bucket_name)
    # What is served, exactly; the logged model below is the same graph for MLflow's own clients.
    mlflow.log_artifacts(str(folder), weights.MODEL_FOLDER)
    mlflow.onnx.log_model(
        graph,
        name="onnx",
        signature=_signature(),
        input_example=_example(table),
        # Given, because inferring them installs and imports everything once more.
        pip_requirements=[f"{name}=={version(name)}" for name in _RUNTIME],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("log needs an active MLflow run")
    return run.info.run_id


def _log_input(table: pd.DataFrame, snapshot: snapshots.Snapshot, bucket: str) -> None:
    data = from_pandas(
        table,
        source=f"s3://{bucket}/{snapshot.key}?versionId={snapshot.version_id}",
        name=snapshot.key,
        targets=features.TARGET,
        digest=snapshot.sha256[:8],
    )
    with warnings.catch_warnings():
        # MLflow advises floats wherever integers might be missing; here none may be.
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer")
        mlflow.log_input(data, context="training")


def _labels(table: pd.DataFrame) -> npt.NDArray[np.int64]:
    return (table[features.TARGET] == features.POSITIVE).to_numpy(np.int64)


def _golden_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Loans of the self-test, in the table's order, as plain Python values."""
    columns = [table[name].head(_GOLDEN_ROWS).tolist() for name in features.NAMES]
    return [dict(zip(features.NAMES, row, strict=True)) for row in zip(*columns, strict=True)]


def _signature() -> ModelSignature:
    """The model's input columns after `features`' conversion, in order, and its one output."""
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.double, name) for name in features.NAMES]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.float, "probability")]))


def _example(table: pd.DataFrame) -> pd.DataFrame:
    matrix = features.from_rows(_golden_rows(table)[:2])
    return pd.DataFrame(matrix.astype(np.float64), columns=pd.Index(features.NAMES))


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
    snapshot: Annotated[
        Path | None, typer.Option(help="File with the snapshot's reference; else the newest day's.")
    ] = None,
    experiment: Annotated[str, typer.Option(help="MLflow experiment.")] = MODEL,
    as_json: console.AsJson = False,
) -> None:
    """Train on a snapshot and log everything that a release needs to MLflow."""
    with console.exit_codes(*snapshots.UNAVAILABLE, MlflowException):
        _commit()
        bucket = snapshots.Bucket()
        reference = snapshots.chosen(bucket, snapshot)
        table = snapshots.read(bucket, reference)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            graph, evidence = build(table, reference.sha256, folder)
            console.progress.print("logging to MLflow")
            # The uv project that MLflow would find is that of the working directory, not ours.
            os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
            # Stdout is for the result alone.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            if "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` has begun the run already
                mlflow.set_experiment(experiment)
            with mlflow.start_run():
                run = log(reference, bucket.name, table, folder, graph, evidence)
        document = {"run": run, "data": reference.reference, **evidence}
        console.emit(document, as_json)


if __name__ == "__main__":
    typer.run(main)
