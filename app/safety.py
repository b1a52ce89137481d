"""Safety: a model's folder holds its three files, and its graph is nothing but a graph."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from app import console, weights

MAX_BYTES = 256 * 1024 * 1024
"""Largest file of a model; what is larger is not downloaded."""

_OPERATORS = ("", "ai.onnx", "ai.onnx.ml")
"""Operator sets of the ONNX standard. Others would need a library of code to be loaded."""


def check_names(sizes: dict[str, int]) -> None:
    """Check names and sizes of a model's files before any is downloaded or read.

    Raises `console.Refused` for a file that is missing, too many or too large.
    """
    extra = sorted(sizes.keys() - set(weights.MODEL_FILES))
    missing = sorted(set(weights.MODEL_FILES) - sizes.keys())
    if extra or missing:
        raise console.Refused(
            f"a model is {', '.join(weights.MODEL_FILES)} and nothing else; "
            f"too many: {', '.join(extra) or 'none'}, missing: {', '.join(missing) or 'none'}"
        )
    for name, size in sizes.items():
        if size > MAX_BYTES:
            raise console.Refused(f"{name} has {size} bytes, allowed are {MAX_BYTES}")


def check(folder: Path) -> None:
    """Check a model's files without running anything in them.

    Raises `console.Refused` for other files than the three, for links, and for an ONNX graph that
    cannot be parsed, keeps weights in other files, or has operators outside the standard.
    """
    try:
        weights.digest(folder)  # refuses links and special files
    except (OSError, weights.UnsafeFile) as error:
        raise console.Refused(str(error)) from error
    check_names(
        {
            str(path.relative_to(folder)): path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file()
        }
    )
    path = folder / "model.onnx"
    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        raise console.Refused(f"{path.name} is no ONNX graph: {error}") from error
    if not model.graph.node:
        raise console.Refused(f"{path.name} is no ONNX graph: it has no node")
    for fault in _faults(model):
        raise console.Refused(f"{path.name}: {fault}")


def _faults(model: onnx.ModelProto) -> Iterator[str]:
    if model.functions:
        yield f"it defines {len(model.functions)} functions of its own; allowed are none"
    if model.training_info:
        yield "it holds training graphs; allowed are none"
    for graph in _graphs(model.graph):
        for node in graph.node:
            if node.domain not in _OPERATORS:
                yield f"operator {node.op_type} is of {node.domain!r}, which is no ONNX standard"
        for tensor in _tensors(graph):
            if tensor.external_data or tensor.data_location != onnx.TensorProto.DEFAULT:
                yield f"tensor {tensor.name!r} keeps its values in another file"


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and those within its nodes."""
    waiting = [graph]
    while waiting:
        yield (graph := waiting.pop())
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    sparse = list(graph.sparse_initializer)
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            sparse += attribute.sparse_tensors
            if attribute.HasField("sparse_tensor"):
                sparse.append(attribute.sparse_tensor)
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices
