"""Requests to answers, as bytes: named fields, and the Open Inference Protocol v2."""

from typing import Any, TypeVar

import msgspec

from app.schema import Category, Feature, InvalidRows, Problem
from app.serving.service import Rejected, Service

MAX_ROWS = 5000

_NUMERIC = frozenset(
    f"{kind}{bits}" for kind in ("INT", "UINT", "FP") for bits in (8, 16, 32, 64)
) - {"FP8"}
_OUTPUT = "probability"
_T = TypeVar("_T")


class Tensor(msgspec.Struct, frozen=True):
    """One input of the Open Inference Protocol: a feature, over all rows."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Output(msgspec.Struct, frozen=True):
    """An output that the client asks for."""

    name: str


class InferRequest(msgspec.Struct, frozen=True):
    """A request of the Open Inference Protocol; parameters are accepted and have no meaning."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Output] | None = None


_rows = msgspec.json.Decoder(dict[str, Any] | list[dict[str, Any]])
_infer = msgspec.json.Decoder(InferRequest)
_encode = msgspec.json.Encoder().encode


def predict(service: Service, body: bytes) -> bytes:
    """Score one row (an object of named fields) or several (a list of them).

    Raises `Rejected` for anything that is no such thing.
    """
    model = service.loaded()
    given = _decode(_rows, body)
    rows = given if isinstance(given, list) else [given]
    _check_rows(len(rows))
    try:
        matrix = model.schema.from_rows(rows)
    except InvalidRows as error:
        raise _rejected(error) from error
    # JSON parsers keep the last of equal keys. No name and no valid value has a colon in it, so
    # counting them finds a repeated field without parsing twice.
    if body.count(b":") != matrix.size:
        raise _fault("duplicate", "", "each field once in a row")
    scores = model.score(matrix).tolist()
    answer: dict[str, Any] = {"model": service.name, "version": service.version}
    if isinstance(given, list):
        answer["probabilities"] = scores
    else:
        answer["probability"] = scores[0]
    return _encode(answer)


def infer(service: Service, body: bytes) -> bytes:
    """Score the rows of an Open Inference request: one tensor a feature, shape [n] or [n, 1].

    Raises `Rejected` for anything that is no such thing.
    """
    model = service.loaded()
    request = _decode(_infer, body)
    for output in request.outputs or ():
        if output.name != _OUTPUT:
            raise _fault("output", output.name, f"the only output is {_OUTPUT}")
    columns: dict[str, list[Any]] = {}
    rows = request.inputs[0].shape[0] if request.inputs and request.inputs[0].shape else 0
    _check_rows(rows)
    for tensor in request.inputs:
        if tensor.name in columns:
            raise _fault("duplicate", tensor.name, "each input once")
        columns[tensor.name] = _column(tensor, rows)
    try:
        scores = model.score(model.schema.from_columns(columns)).tolist()
    except InvalidRows as error:
        raise _rejected(error) from error
    output = {"name": _OUTPUT, "datatype": "FP32", "shape": [rows], "data": scores}
    answer = {"model_name": service.name, "model_version": service.version, "outputs": [output]}
    if request.id is not None:
        answer["id"] = request.id
    return _encode(answer)


def model_metadata(service: Service) -> bytes:
    """The model's inputs and outputs, as the Open Inference Protocol describes them."""
    inputs = [
        {"name": feature.name, "datatype": _datatype(feature), "shape": [-1]}
        for feature in service.loaded().schema.features
    ]
    return _encode(
        {
            "name": service.name,
            "versions": [service.version],
            "platform": "onnx_onnxv1",
            "inputs": inputs,
            "outputs": [{"name": _OUTPUT, "datatype": "FP32", "shape": [-1]}],
        }
    )


def server_metadata(service: Service) -> bytes:
    """What this server is, as the Open Inference Protocol describes it."""
    return _encode({"name": "ferry", "version": service.version, "extensions": []})


def _datatype(feature: Feature) -> str:
    if isinstance(feature, Category):
        return "BYTES"
    return "INT64" if feature.integer else "FP64"


def _decode(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
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


def _check_rows(rows: int) -> None:
    if rows < 1:
        raise Rejected(422, "empty", "there is no row in the request; at least one is needed")
    if rows > MAX_ROWS:
        message = f"{rows} rows in one request; at most {MAX_ROWS} are scored at once"
        raise Rejected(413, "too_many_rows", message)


def _column(tensor: Tensor, rows: int) -> list[Any]:
    words = tensor.datatype == "BYTES"
    if not words and tensor.datatype not in _NUMERIC:
        raise _fault("datatype", tensor.name, "BYTES or a numeric datatype such as FP64")
    if tensor.shape not in ([rows], [rows, 1]):
        raise _fault("shape", tensor.name, f"shape [{rows}] or [{rows}, 1], as the first input")
    # The protocol allows the data flat or nested, whatever the shape.
    data = [
        value[0] if isinstance(value, list) and len(value) == 1 else value for value in tensor.data
    ]
    if len(data) != rows:
        raise _fault("shape", tensor.name, f"{rows} values, as its shape says")
    for row, value in enumerate(data):
        if isinstance(value, str) != words:
            raise _fault("type", tensor.name, f"a value of datatype {tensor.datatype[:16]}", row)
    return data


def _fault(code: str, field: str, expected: str, row: int = 0) -> Rejected:
    problem = Problem(code=code, field=field[:64], row=row, expected=expected)
    return Rejected(422, code, f"{field[:64] or 'row'}: expected is {expected}", [problem])


def _rejected(error: InvalidRows) -> Rejected:
    return Rejected(422, error.problems[0].code, str(error), error.problems)
