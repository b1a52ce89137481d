"""A gRPC server on an event loop of its own, a client's channel to it, and requests of rows."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import numpy as np
import pytest
from conftest import MODEL, SCHEMA

from app.schema import Category
from app.serving import grpc_infer, grpc_server, protos
from app.serving.grpc_call import Bounds
from app.serving.service import Service

Code = grpc.StatusCode
Message = protos.Message
Request = protos.message("inference.ModelInferRequest")
Status = protos.message("google.rpc.Status")

BOUNDS = Bounds(message_bytes=600_000, receive_seconds=0.6, streams=2)


class Running:
    """A server on an event loop of its own, and a client's channel to it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        service.most_waiting = 4
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.server = grpc_server.Server(service, 0, BOUNDS)
        self.do(self.server.start())
        self.port = int(self.server.address.rpartition(":")[2])
        # Each its own connection: without the option, equal channels share one.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options)

    def do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def call(self, method: str, body: bytes, **more: object) -> bytes:
        return self.channel.unary_unary(method)(body, **{"timeout": 10, **more})

    def infer(self, request: Message, **more: object) -> Message:
        body = request if isinstance(request, bytes) else request.SerializeToString()
        answer = self.call(f"/{grpc_infer.SERVICE}/ModelInfer", body, **more)
        return protos.message("inference.ModelInferResponse").FromString(answer)

    def ask(self, method: str, **fields: object) -> Message:
        request = protos.message(f"inference.{method}Request")(**fields)
        answer = self.call(f"/{grpc_infer.SERVICE}/{method}", request.SerializeToString())
        return protos.message(f"inference.{method}Response").FromString(answer)

    def close(self) -> None:
        self.channel.close()
        self.do(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


def typed(rows: list[dict[str, Any]]) -> Message:
    """The rows as a request with typed contents."""
    request = Request(model_name=MODEL.name, id="seven")
    for feature in SCHEMA.features:
        tensor = request.inputs.add(name=feature.name, shape=[len(rows)])
        values = [row[feature.name] for row in rows]
        if isinstance(feature, Category):
            tensor.datatype = "BYTES"
            tensor.contents.bytes_contents.extend(value.encode() for value in values)
        elif feature.integer:
            tensor.datatype = "INT64"
            tensor.contents.int64_contents.extend(int(value) for value in values)
        else:
            tensor.datatype = "FP64"
            tensor.contents.fp64_contents.extend(values)
    return request


def raw(rows: list[dict[str, Any]]) -> Message:
    """The rows as a request with raw contents."""
    request = typed(rows)
    for tensor in request.inputs:
        contents = tensor.contents
        if tensor.datatype == "BYTES":
            words = contents.bytes_contents
            content = b"".join(len(word).to_bytes(4, "little") + word for word in words)
        elif tensor.datatype == "INT64":
            content = np.array(contents.int64_contents, "<i8").tobytes()
        else:
            content = np.array(contents.fp64_contents, "<f8").tobytes()
        request.raw_input_contents.append(content)
        tensor.ClearField("contents")
    return request


def refusal(call: Callable[[], object]) -> grpc.Call:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    found = caught.value
    assert isinstance(found, grpc.Call)
    return found


def status(call: Callable[[], object]) -> Code:
    try:
        call()
    except grpc.RpcError as error:
        return error.code() if isinstance(error, grpc.Call) else Code.UNKNOWN
    return Code.OK


def details(error: grpc.Call) -> dict[str, Any]:
    """What the trailers say of an error, by the name of each of its messages."""
    (encoded,) = [v for k, v in error.trailing_metadata() if k == "grpc-status-details-bin"]
    status = Status.FromString(encoded)
    found = {"status": status}
    for part in status.details:
        name = part.type_url.rpartition("/")[2]
        found[name] = protos.message(name).FromString(part.value)
    return found
