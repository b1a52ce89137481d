"""Peers over gRPC with the same weights and no more than they need: no validation, no limits.

`python grpc_plain.py aio|threads MODEL_FOLDER PORT`, in an environment with grpcio and onnxruntime.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import onnxruntime

from app.serving import protos

SERVICE = "inference.GRPCInferenceService"
CONTENTS = {"BYTES": "bytes_contents", "INT64": "int64_contents", "FP64": "fp64_contents"}


def scorer(folder: Path) -> Callable[[bytes], bytes]:
    """A ModelInferRequest of typed contents to its response."""
    request_class = protos.message("inference.ModelInferRequest")
    response_class = protos.message("inference.ModelInferResponse")
    features = json.loads((folder / "model.json").read_text())["schema"]["features"]
    codes = {
        feature["name"]: {word.encode(): place for place, word in enumerate(feature["values"])}
        for feature in features
        if feature["type"] == "category"
    }
    logs = [place for place, feature in enumerate(features) if feature.get("log")]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)

    def score(body: bytes) -> bytes:
        request = request_class.FromString(body)
        columns = {}
        for tensor in request.inputs:
            values = getattr(tensor.contents, CONTENTS[tensor.datatype])
            code = codes.get(tensor.name)
            columns[tensor.name] = [code[value] for value in values] if code else list(values)
        matrix = np.array([columns[feature["name"]] for feature in features]).T
        matrix[:, logs] = np.log1p(matrix[:, logs])
        (scores,) = session.run(("probability",), {"features": matrix.astype(np.float32)})
        response = response_class(model_name=request.model_name, id=request.id)
        output = response.outputs.add(name="probability", datatype="FP32", shape=(len(scores),))
        output.contents.fp32_contents.extend(scores.tolist())
        return response.SerializeToString()

    return score


def handlers(infer: Callable[..., object]) -> grpc.GenericRpcHandler:
    method = grpc.unary_unary_rpc_method_handler(infer)
    return grpc.method_handlers_generic_handler(SERVICE, {"ModelInfer": method})


async def aio(folder: Path, port: int) -> None:
    score = scorer(folder)

    async def infer(body: bytes, _: object) -> bytes:
        return score(body)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(infer),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def threads(folder: Path, port: int) -> None:
    score = scorer(folder)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handlers(lambda body, _: score(body)),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    kind, where, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if kind == "aio":
        asyncio.run(aio(where, port))
    else:
        threads(where, port)
