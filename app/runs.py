"""Runs: what training leaves in MLflow: parameters, metrics, data, evidence, and the model."""

import json
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.onnx
import numpy as np
import onnx
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from app import evidence, fit, snapshots, weights
from app.dataset import Dataset
from app.definition import Definition
from app.schema import Schema as InputSchema

_RUNTIME = ("numpy", "onnx", "onnxruntime")
_EXAMPLE_ROWS = 2


def log(
    model: Definition,
    snapshot: snapshots.Snapshot,
    bucket_name: str,
    table: pd.DataFrame,
    folder: Path,
    graph: onnx.ModelProto,
    built: dict[str, Any],
    judged: evidence.Evidence,
    revision: tuple[str, bool],
) -> str:
    """Log parameters, metrics, data, evidence and model to the active MLflow run; give its id."""
    mlflow.set_tags(
        {
            "ferry.commit": revision[0],
            "ferry.dirty": str(revision[1]).lower(),
            "ferry.data": json.dumps(snapshot.reference),
            "ferry.features": model.schema.hash(),
            "ferry.weights": built["weights"],
        }
    )
    evaluation = built["evaluation"]
    mlflow.log_params(
        {
            "algorithm": "logistic regression",
            "C": fit.C,
            "seed": fit.SEED,
            "threshold": evaluation["threshold"],
            "training_rows": built["training_rows"],
            "held_out_rows": evaluation["rows"],
        }
    )
    mlflow.log_metrics(_figures(built, judged.metrics))
    _log_input(model, table, snapshot, bucket_name)
    with tempfile.TemporaryDirectory() as name:
        judged.write(Path(name))
        mlflow.log_artifacts(name)
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


def _figures(built: dict[str, Any], metrics: dict[str, Any]) -> dict[str, float]:
    """What MLflow charts over the runs."""
    found = {"onnx_max_difference": built["onnx_max_difference"]}
    for name, interval in metrics["metrics"].items():
        found |= {
            name: interval["value"],
            f"{name}_low": interval["low"],
            f"{name}_high": interval["high"],
            f"baseline_{name}": metrics["baseline"][name],
        }
    differences = (metrics["champion"] or {}).get("differences", {})
    return found | {f"{name}_gain": gain["value"] for name, gain in differences.items()}


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


def _signature(schema: InputSchema) -> ModelSignature:
    """The model's input columns after conversion, in order, and its one output."""
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.double, name) for name in schema.names]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.float, "probability")]))


def _example(dataset: Dataset, table: pd.DataFrame) -> pd.DataFrame:
    matrix = dataset.schema.from_columns(dataset.columns(table.head(_EXAMPLE_ROWS)))
    return pd.DataFrame(matrix.astype(np.float64), columns=pd.Index(dataset.schema.names))
