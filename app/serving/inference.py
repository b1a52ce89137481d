"""Rows and columns to scores, whatever the transport; and what every JSON request has in common."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from app.schema import Category, Feature, InvalidRows, Matrix, Problem
from app.serving.service import Rejected, Service

MAX_ROWS = 5000
OUTPUT = "probability"

Scores = npt.NDArray[np.float32]
Rows = list[dict[str, Any]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose rows the schema has accepted: only the scores are missing."""

    rows: Rows
    matrix: Matrix
    answer: Callable[[list[float]], bytes]
    """From the probability of each row to the answer's JSON."""


def question(service: Service, rows: Rows, answer: Callable[[list[float]], bytes]) -> Question:
    """Raises `Rejected` for no row, too many, or any that the schema refuses."""
    return Question(rows, _matrix(service, rows), answer)


def answers(service: Service, asked: Sequence[tuple[Question, str]]) -> list[bytes]:
    """Score the questions, each beside its request's id, in one call of the model."""
    matrices = [question.matrix for question, _ in asked]
    # A lone request is the common case, and needs no copy.
    matrix = matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
    scores = _scored(service, matrix).tolist()
    found, place = [], 0
    for question, request_id in asked:
        own = scores[place : place + len(question.rows)]
        place += len(question.rows)
        if service.sampled is not None:
            service.sampled.offer(request_id, question.rows, own)
        found.append(question.answer(own))
    return found


def score_rows(service: Service, rows: Rows, request_id: str) -> Scores:
    """Probability of the positive class for each row of named fields, (rows,) float32.

    Raises `Rejected` for no row, too many, or any that the schema refuses.
    """
    scores = _scored(service, _matrix(service, rows))
    if service.sampled is not None:
        service.sampled.offer(request_id, rows, scores.tolist())
    return scores


def rows_of(columns: Mapping[str, Sequence[object]]) -> Rows:
    """The rows of columns of Python values that are equally long; `Rejected` for too many."""
    names = list(columns)
    check_rows(len(columns[names[0]]) if names else 0)
    values = zip(*columns.values(), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


def check_rows(rows: int) -> None:
    """Raise `Rejected` when a request has no row or too many."""
    if rows < 1:
        raise Rejected(422, "empty", "there is no row in the request; at least one is needed")
    if rows > MAX_ROWS:
        message = f"{rows} rows in one request; at most {MAX_ROWS} are scored at once"
        raise Rejected(413, "too_many_rows", message)


def decode(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """Parse a body; raises `Rejected` for what is no JSON or has another shape."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # The message reads "Expected `array`, got `int` - at `$.inputs`".
        expected, _, place = str(error).partition(" - at ")
        problem = Problem(code="schema", field=place.strip("`")[:64], row=0, expected=expected)
        raise Rejected(422, "schema", str(error), [problem]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(400, "json", f"the body is no valid JSON: {error}") from error
    except RecursionError as error:
        raise Rejected(400, "json", "the body is nested too deeply") from error


def refuse_repeated(body: bytes, members: int) -> None:
    """Raise `Rejected` when an object in `body` has a key twice; parsers keep the last.

    `members`, how many the parsed objects have together, spares most bodies a second parse: each
    member that was written has its colon.
    """
    if body.count(b":") == members:
        return

    def distinct(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise fault("duplicate", name, "each field once")
            seen.add(name)

    try:
        json.loads(body, object_pairs_hook=distinct)
    except (ValueError, RecursionError) as error:
        # Lone surrogates, say: what the two parsers do not agree on is nothing to be scored.
        raise Rejected(400, "json", "the body is no valid JSON") from error


def fault(code: str, field: str, expected: str, row: int = 0) -> Rejected:
    """A request with one fault, located."""
    problem = Problem(code=code, field=field[:64], row=row, expected=expected)
    return Rejected(422, code, f"{field[:64] or 'row'}: expected is {expected}", [problem])


def model_metadata(service: Service) -> dict[str, Any]:
    """The model's inputs and outputs, as the Open Inference Protocol describes them."""
    inputs = [
        {"name": feature.name, "datatype": _datatype(feature), "shape": [-1]}
        for feature in service.loaded().schema.features
    ]
    return {
        "name": service.name,
        "versions": [service.version],
        "platform": "onnx_onnxv1",
        "inputs": inputs,
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1]}],
    }


def server_metadata(service: Service) -> dict[str, Any]:
    """What this server is, as the Open Inference Protocol describes it."""
    return {"name": "ferry", "version": service.version, "extensions": []}


def _matrix(service: Service, rows: Rows) -> Matrix:
    schema = service.loaded().schema
    check_rows(len(rows))
    try:
        return schema.from_rows(rows)
    except InvalidRows as error:
        raise Rejected(422, error.problems[0].code, str(error), error.problems) from error


def _scored(service: Service, matrix: Matrix) -> Scores:
    scores = service.loaded().score(matrix)
    service.metrics.scores.add(scores)
    return scores


def _datatype(feature: Feature) -> str:
    if isinstance(feature, Category):
        return "BYTES"
    return "INT64" if feature.integer else "FP64"
