"""Convert: a fitted pipeline as an ONNX graph with one output, proven equal before it is used."""

from typing import cast

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.pipeline import Pipeline

from app import console
from app.schema import Matrix

MAX_DIFFERENCE = 1e-5
"""Largest difference of a probability between scikit-learn and ONNX that is float32's rounding."""

_OPSET = 21


def convert(pipeline: Pipeline, name: str, features: int) -> onnx.ModelProto:
    """Give the graph `features` (rows, features) float32 -> `probability` (rows,) float32."""
    model = cast(
        onnx.ModelProto,
        convert_sklearn(
            pipeline,
            name=name,
            initial_types=[("features", FloatTensorType([None, features]))],
            options={"zipmap": False, "output_class_labels": False},
            target_opset=_OPSET,
        ),
    )
    # skl2onnx lists the operator sets in the order of a set, which differs from run to run.
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    graph = model.graph
    # Only the probability of the positive class is of use; the other outputs would be computed.
    graph.initializer.append(helper.make_tensor("positive", TensorProto.INT64, [], [1]))
    graph.node.append(
        helper.make_node("Gather", ["probabilities", "positive"], ["probability"], axis=1)
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None]))
    onnx.checker.check_model(model, full_check=True)
    return model


def score(model: onnx.ModelProto, matrix: Matrix) -> npt.NDArray[np.float32]:
    """Probability of the positive class for each row of (rows, features) float32."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["probability"], {"features": matrix})[0])


def largest_difference(model: onnx.ModelProto, pipeline: Pipeline, matrix: Matrix) -> float:
    """Compare the probabilities of both on every row.

    Raises `console.Refused` when any differs by more than `MAX_DIFFERENCE`.
    """
    found = score(model, matrix)
    worst = float(np.max(np.abs(found - pipeline.predict_proba(matrix)[:, 1])))
    # Written so that NaN is refused too.
    if not worst <= MAX_DIFFERENCE:
        raise console.Refused(
            f"ONNX and scikit-learn differ by {worst:.3g} on {len(matrix)} rows, "
            f"allowed are {MAX_DIFFERENCE:g}"
        )
    return worst
