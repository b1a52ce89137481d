"""Asks a served model for one row's score as four kinds of client do; run by the app's Python."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import grpc

from app.schema import Category, Number
from app.serving import protos


def post(url: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    request = urllib.request.Request(  # noqa: S310 - the URL is the stack's own
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def over_grpc(target: str, model: str, row: dict[str, Any]) -> float:
    """The score by the Open Inference Protocol over gRPC, in typed contents."""
    from app import definition

    request = protos.message("inference.ModelInferRequest")(model_name=model)
    for feature in definition.find(model).schema.features:
        tensor = request.inputs.add(name=feature.name, shape=[1])
        value = row[feature.name]
        if isinstance(feature, Category):
            tensor.datatype = "BYTES"
            tensor.contents.bytes_contents.append(value.encode())
        elif isinstance(feature, Number):
            tensor.datatype = "FP64"
            tensor.contents.fp64_contents.append(float(value))
    with grpc.insecure_channel(target) as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        answer = ask(request.SerializeToString(), timeout=10)
    found = protos.message("inference.ModelInferResponse").FromString(answer)
    return found.outputs[0].contents.fp32_contents[0]


def main(url: str, target: str, model: str, file: Path) -> dict[str, float]:
    """The row's score by each client's name."""
    row = json.loads(file.read_text())
    tensors = [
        {
            "name": name,
            "shape": [1],
            "datatype": "BYTES" if isinstance(value, str) else "FP64",
            "data": [value],
        }
        for name, value in row.items()
    ]
    infer = post(f"{url}/v2/models/{model}/infer", {"inputs": tensors})
    return {
        "named fields": post(f"{url}/predict", row)["probability"],
        "Open Inference, REST": infer["outputs"][0]["data"][0],
        "Open Inference, gRPC": over_grpc(target, model, row),
        "MLflow": post(f"{url}/invocations", {"dataframe_records": [row]})["predictions"][0],
    }


if __name__ == "__main__":
    url, target, model, file = sys.argv[1:]
    print(json.dumps(main(url, target, model, Path(file))))
