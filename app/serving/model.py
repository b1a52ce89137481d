"""Load a model once: digest checked before anything is read, then warm-up and self-test."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime

from app import weights
from app.schema import Matrix, Schema

SELF_TEST_TOLERANCE = 1e-5
"""Largest difference of a probability from the one that training wrote down."""


class Unfit(Exception):
    """A model that must not serve; the message says what was found and what was wanted."""


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric on held-out rows, and its 95% interval."""

    value: float
    low: float
    high: float


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good the model was on held-out rows; the last two at its threshold."""

    auc: Interval
    log_loss: Interval
    brier: Interval
    accuracy: Interval
    balanced_accuracy: Interval


class Info(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """model.json: what the server must know about its weights."""

    name: str
    schema: dict[str, Any]
    """The features that the weights were trained with, as `Schema.document` gives them."""
    data_sha256: str
    """Digest of the training snapshot's bytes."""
    threshold: float
    """Probability from which a row is called positive."""
    base_rate: float
    """Share of positive rows in training."""
    metrics: Metrics
    key: str | None = None
    """Name of the column that identifies an entity; no feature."""


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """golden.json: rows and the probabilities that training gave them."""

    rows: list[dict[str, Any]]
    probabilities: list[float]


class Model:
    """Weights in memory, ready to score."""

    def __init__(self, info: Info, schema: Schema, session: onnxruntime.InferenceSession) -> None:
        self.info = info
        self.schema = schema
        self._session = session

    def score(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """Probability of the positive class for each row of (rows, features) float32."""
        scores: Any = self._session.run(("probability",), {"features": matrix})[0]
        return scores


def load(folder: Path, expected_weights: str) -> Model:
    """Load the model of `folder`, whose files must have the digest `sha256:…`.

    Raises `Unfit` when they do not, when the metadata cannot be read, or when a row of golden.json
    gets another probability than in training.
    """
    _check_digest(folder, expected_weights)
    try:
        info = msgspec.json.decode((folder / "model.json").read_bytes(), type=Info)
        schema = Schema.parse(info.schema)
        golden = msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)
    except (OSError, msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise Unfit(f"{folder}: metadata cannot be read: {error!r}") from error
    model = Model(info, schema, _session(folder / "model.onnx"))
    _self_test(model, golden)
    return model


def _check_digest(folder: Path, expected: str) -> None:
    try:
        found = weights.digest(folder)
    except (OSError, weights.UnsafeFile) as error:
        raise Unfit(f"{folder}: the weights cannot be digested: {error}") from error
    if found != expected:
        raise Unfit(f"{folder}: the weights have digest {found}, the release says {expected}")


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One request is microseconds of work: more threads would only fight over the pod's CPU share.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise Unfit(f"{path}: onnxruntime cannot load it: {error}") from error


def _self_test(model: Model, golden: Golden) -> None:
    if not golden.rows or len(golden.rows) != len(golden.probabilities):
        raise Unfit("golden.json needs at least one row, and one probability for each")
    try:
        scores = model.score(model.schema.from_rows(golden.rows))
    except Exception as error:  # whatever the graph refuses, the model is not fit
        raise Unfit(f"the self-test cannot run: {error}") from error
    worst = float(np.max(np.abs(scores.astype(np.float64) - golden.probabilities)))
    # Written so that NaN is refused too.
    if not worst <= SELF_TEST_TOLERANCE:
        raise Unfit(
            f"the self-test differs by {worst:.3g} from training, "
            f"allowed are {SELF_TEST_TOLERANCE:g}: the libraries differ, or the weights do"
        )
