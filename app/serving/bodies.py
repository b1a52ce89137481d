"""What clients send as JSON, and the answers: named fields, Open Inference v2, MLflow."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from app.serving import inference
from app.serving.inference import Question, Rows, fault
from app.serving.service import Rejected, Service

_NUMERIC = frozenset(
    f"{kind}{bits}" for kind in ("INT", "UINT", "FP") for bits in (8, 16, 32, 64)
) - {"FP8"}


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


class Split(msgspec.Struct, frozen=True):
    """A data frame as pandas' `to_dict(orient="split")` gives it."""

    columns: list[str]
    data: list[list[Any]]


class Invocation(msgspec.Struct, frozen=True):
    """A request of MLflow's scoring server: one of the four; parameters have no meaning."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[dict[str, Any]] | dict[str, list[Any]] | None = None
    inputs: dict[str, Any] | list[dict[str, Any]] | None = None


_rows = msgspec.json.Decoder(dict[str, Any] | list[dict[str, Any]])
_infer = msgspec.json.Decoder(InferRequest)
_invocation = msgspec.json.Decoder(Invocation)
_encode = msgspec.json.Encoder().encode


def predict(service: Service, body: bytes) -> Question | Coroutine[Any, Any, Question]:
    """One row (an object of named fields) or several (a list of them).

    With an online store a row may also be its entity's id alone: then the rows are waited for.
    Raises `Rejected` for anything that is no such thing; so do the other two.
    """
    service.loaded()
    given = inference.decode(_rows, body)
    rows = given if isinstance(given, list) else [given]
    inference.check_rows(len(rows))
    inference.refuse_repeated(body, sum(map(len, rows)))
    several = isinstance(given, list)

    def answer(scores: list[float]) -> bytes:
        found: dict[str, Any] = {"model": service.name, "version": service.version}
        if several:
            found["probabilities"] = scores
        else:
            found["probability"] = scores[0]
        return _encode(found)

    if service.online is not None and service.loaded().info.key in rows[0]:
        return _online(service, rows, answer)
    return inference.question(service, rows, answer)


def infer(service: Service, body: bytes) -> Question:
    """The rows of an Open Inference request: one tensor a feature, shape [n] or [n, 1]."""
    service.loaded()
    request = inference.decode(_infer, body)
    for output in request.outputs or ():
        if output.name != inference.OUTPUT:
            raise fault("output", output.name, f"the only output is {inference.OUTPUT}")
    rows = request.inputs[0].shape[0] if request.inputs and request.inputs[0].shape else 0
    inference.check_rows(rows)
    columns: dict[str, list[Any]] = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise fault("duplicate", tensor.name, "each input once")
        columns[tensor.name] = _column(tensor, rows)
    inference.refuse_repeated(body, 4 * len(columns) + 1 + (request.id is not None))

    def answer(scores: list[float]) -> bytes:
        output = {"name": inference.OUTPUT, "datatype": "FP32", "shape": [rows], "data": scores}
        found = {"model_name": service.name, "model_version": service.version, "outputs": [output]}
        if request.id is not None:
            found["id"] = request.id
        return _encode(found)

    return inference.question(service, inference.rows_of(columns), answer)


def invocations(service: Service, body: bytes) -> Question:
    """Rows in any of the forms of MLflow's scoring server, answered as it does."""
    service.loaded()
    request = inference.decode(_invocation, body)
    forms = {form: getattr(request, form) for form in request.__struct_fields__}
    given = {form: value for form, value in forms.items() if value is not None}
    if len(given) != 1:
        raise fault("schema", "", f"one of {', '.join(forms)}")
    [(form, value)] = given.items()
    if isinstance(value, list):
        inference.refuse_repeated(body, 1 + sum(map(len, value)))
        rows = value
    elif isinstance(value, Split):
        inference.refuse_repeated(body, 3)
        rows = inference.rows_of(_split(value))
    else:
        inference.refuse_repeated(body, 1 + len(value))
        rows = inference.rows_of(_named(form, value))
    return inference.question(service, rows, lambda scores: _encode({"predictions": scores}))


async def _online(service: Service, rows: Rows, answer: Callable[[list[float]], bytes]) -> Question:
    store, key = service.online, service.loaded().info.key
    if store is None or key is None:
        raise Rejected(503, "online", "there is no online store")
    for place, row in enumerate(rows):
        if row.keys() != {key}:
            raise fault("entity", key, f"{key} alone, or the model's fields without it", place)
    found = await store.rows([row[key] for row in rows])
    return inference.question(service, found, answer)


def _column(tensor: Tensor, rows: int) -> list[Any]:
    words = tensor.datatype == "BYTES"
    if not words and tensor.datatype not in _NUMERIC:
        raise fault("datatype", tensor.name, "BYTES or a numeric datatype such as FP64")
    if tensor.shape not in ([rows], [rows, 1]):
        raise fault("shape", tensor.name, f"shape [{rows}] or [{rows}, 1], as the first input")
    data = _flat(tensor.data)
    if len(data) != rows:
        raise fault("shape", tensor.name, f"{rows} values, as its shape says")
    for row, value in enumerate(data):
        if isinstance(value, str) != words:
            raise fault("type", tensor.name, f"a value of datatype {tensor.datatype[:16]}", row)
    return data


def _flat(data: list[Any]) -> list[Any]:
    # Both protocols allow a column of one value a row flat or nested, whatever the shape.
    if not any(isinstance(value, list) for value in data):
        return data
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in data]


def _split(frame: Split) -> Mapping[str, Sequence[object]]:
    inference.check_rows(len(frame.data))
    width = len(frame.columns)
    if len(set(frame.columns)) != width:
        repeated = next(name for name in frame.columns if frame.columns.count(name) > 1)
        raise fault("duplicate", repeated, "each column once")
    for place, row in enumerate(frame.data):
        if len(row) != width:
            raise fault("shape", "data", f"{width} values, one for each column", place)
    return dict(zip(frame.columns, zip(*frame.data, strict=True), strict=True))


def _named(form: str, columns: dict[str, Any]) -> Mapping[str, Sequence[object]]:
    # TensorFlow's convention, which MLflow follows: a value that is no list is the only row's.
    found = {n: _flat(v) if isinstance(v, list) else [v] for n, v in columns.items()}
    lengths = {len(values) for values in found.values()}
    if len(lengths) > 1:
        raise fault("shape", form, "as many values for each name")
    return found
