"""The model as MLflow serves it: a data frame of named columns to ONNX."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pandas as pd


class Onnx(mlflow.pyfunc.PythonModel):
    """Codes the categories, scores; no validation."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401 - MLflow's
        folder = Path(context.artifacts["model"])
        self._features = json.loads((folder / "model.json").read_text())["schema"]["features"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[float]:  # noqa: ANN401
        columns = []
        for feature in self._features:
            column = model_input[feature["name"]].to_numpy()
            if feature["type"] == "category":
                column = np.array([feature["values"].index(word) for word in column])
            columns.append(np.log1p(column.astype(float)) if feature.get("log") else column)
        matrix = np.array(columns, np.float64).T.astype(np.float32)
        return self._session.run(("probability",), {"features": matrix})[0].tolist()


mlflow.models.set_model(Onnx())
