"""The Open Inference Protocol v2 over gRPC: messages to columns, scores to messages."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from app.serving import inference, protos
from app.serving.grpc_call import Method
from app.serving.service import Rejected, Service

SERVICE = "inference.GRPCInferenceService"

_CONTENTS = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the values of a datatype are; FP16 has no such place, it travels raw alone."""
_RAW = {
    f"{kind}{bits}": np.dtype(f"<{letter}{bits // 8}")
    for kind, letter in (("INT", "i"), ("UINT", "u"), ("FP", "f"))
    for bits in (8, 16, 32, 64)
    if kind != "FP" or bits > 8
}
_RAW["BYTES"] = np.dtype("O")

_REQUESTS = {
    name: protos.message(f"inference.{name}")
    for name in ("ModelInferRequest", "ModelMetadataRequest", "ModelReadyRequest")
}
_Response = protos.message("inference.ModelInferResponse")


def methods(service: Service) -> dict[str, Method]:
    """The protocol's methods by path."""
    live = _constant("ServerLiveResponse", live=True)
    found = [
        Method(name="ServerLive", answer=lambda _body, _id: live),
        Method(name="ServerReady", answer=lambda _body, _id: _ready(service, "ServerReady")),
        Method(name="ModelReady", answer=lambda body, _id: _model_ready(service, body)),
        Method(name="ServerMetadata", answer=lambda _body, _id: _server_metadata(service)),
        Method(name="ModelMetadata", answer=lambda body, _id: _model_metadata(service, body)),
        Method(
            name="ModelInfer",
            answer=lambda body, request_id: infer(service, body, request_id),
            prediction=True,
        ),
    ]
    return {f"/{SERVICE}/{method.name}": method for method in found}


def infer(service: Service, body: bytes, request_id: str) -> bytes:
    """Score the rows of a ModelInferRequest: one tensor a feature, shape [n] or [n, 1].

    Raises `Rejected` for anything that is no such thing.
    """
    begun = time.perf_counter()
    service.loaded()
    request = _parse("ModelInferRequest", body)
    _check_model(service, request.model_name, request.model_version)
    for output in request.outputs:
        if output.name != inference.OUTPUT:
            raise inference.fault("output", output.name, f"the only output is {inference.OUTPUT}")
    inputs = request.inputs
    raw = request.raw_input_contents
    if raw and len(raw) != len(inputs):
        raise inference.fault("shape", "raw_input_contents", f"{len(inputs)} of them")
    shape = inputs[0].shape if inputs else ()
    rows = shape[0] if shape else 0
    inference.check_rows(rows)
    given: list[dict[str, Any]] = [{} for _ in range(rows)]
    for place, tensor in enumerate(inputs):
        name, datatype, shape = tensor.name, tensor.datatype, tensor.shape
        if name in given[0]:
            raise inference.fault("duplicate", name, "each input once")
        if datatype not in (_RAW if raw else _CONTENTS):
            raise inference.fault("datatype", name, "BYTES or a numeric datatype such as FP64")
        if (len(shape) != 1 or shape[0] != rows) and shape != [rows, 1]:
            expected = f"shape [{rows}] or [{rows}, 1], as the first input"
            raise inference.fault("shape", name, expected)
        if raw:
            values = _raw(raw[place], datatype)
        else:
            values = getattr(tensor.contents, _CONTENTS[datatype])
        if len(values) != rows:
            where = "raw_input_contents" if raw else "the contents of its datatype"
            raise inference.fault("shape", name, f"{rows} values in {where}, as its shape says")
        if datatype == "BYTES":
            values = _text(name, values)
        if rows == 1:  # most requests; the loop would be a tenth of their time
            given[0][name] = values[0]
            continue
        for row, value in zip(given, values, strict=True):
            row[name] = value
    scores = inference.score_rows(service, given, request_id)
    response = _Response(model_name=service.name, model_version=service.version, id=request.id)
    output = response.outputs.add(name=inference.OUTPUT, datatype="FP32", shape=(rows,))
    if raw:
        response.raw_output_contents.append(scores.astype("<f4").tobytes())
    else:
        output.contents.fp32_contents.extend(scores.tolist())
    answer = response.SerializeToString()
    service.metrics.latency.observe(time.perf_counter() - begun)
    return answer


def _raw(content: bytes, datatype: str) -> Sequence[Any]:
    """The values of raw contents; none when they are not whole."""
    if datatype == "BYTES":
        return _words(content)
    kind = _RAW[datatype]
    return () if len(content) % kind.itemsize else np.frombuffer(content, kind).tolist()


def _words(raw: bytes) -> list[bytes]:
    """The values of a raw BYTES tensor, each after its length; none when they do not fit."""
    found = []
    place = 0
    while place < len(raw):
        begin = place + 4
        place = begin + int.from_bytes(raw[place:begin], "little")
        if place > len(raw):
            return []
        found.append(raw[begin:place])
    return found


def _text(name: str, values: Sequence[bytes]) -> list[str]:
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise inference.fault("type", name, "text in UTF-8") from error


def _parse(name: str, body: bytes) -> protos.Message:
    try:
        return _REQUESTS[name].FromString(body)
    except DecodeError as error:
        raise Rejected(400, "protocol", f"the request is no {name}") from error


def _check_model(service: Service, name: str, version: str) -> None:
    if name != service.name or version not in ("", service.version):
        text = f"this server has model {service.name}, version {service.version}, alone"
        raise Rejected(404, "model", text)


def _constant(message: str, **fields: object) -> bytes:
    return protos.message(f"inference.{message}")(**fields).SerializeToString()


def _ready(service: Service, method: str) -> bytes:
    return _constant(f"{method}Response", ready=service.ready)


def _model_ready(service: Service, body: bytes) -> bytes:
    request = _parse("ModelReadyRequest", body)
    _check_model(service, request.name, request.version)
    return _ready(service, "ModelReady")


def _server_metadata(service: Service) -> bytes:
    return _constant("ServerMetadataResponse", **inference.server_metadata(service))


def _model_metadata(service: Service, body: bytes) -> bytes:
    request = _parse("ModelMetadataRequest", body)
    _check_model(service, request.name, request.version)
    return _constant("ModelMetadataResponse", **inference.model_metadata(service))
