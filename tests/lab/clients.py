"""Asks a served model for one row's score as five kinds of client do; run by the app's Python."""

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pandas as pd  # ty: ignore[import-not-found] - the app has it
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from app.serving import protos

SERVICE = "inference.GRPCInferenceService"
Row = dict[str, Any]


def post(url: str, body: Row) -> Any:  # noqa: ANN401 - any JSON
    request = urllib.request.Request(  # noqa: S310 - the URL is the stack's own
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def over_rest(url: str, model: str, row: Row) -> float:
    """The score by the Open Inference Protocol over REST."""
    tensors = [
        {"name": name, "shape": [1], "datatype": _type(value), "data": [value]}
        for name, value in row.items()
    ]
    answer = post(f"{url}/v2/models/{model}/infer", {"inputs": tensors})
    return answer["outputs"][0]["data"][0]


def over_grpc(target: str, model: str, row: Row) -> float:
    """The score by the Open Inference Protocol over gRPC, in typed contents."""
    request = protos.message("inference.ModelInferRequest")(model_name=model)
    for name, value in row.items():
        tensor = request.inputs.add(name=name, shape=[1], datatype=_type(value))
        if isinstance(value, str):
            tensor.contents.bytes_contents.append(value.encode())
        else:
            tensor.contents.fp64_contents.append(value)
    with grpc.insecure_channel(target) as channel:
        answer = channel.unary_unary(f"/{SERVICE}/ModelInfer")(
            request.SerializeToString(), timeout=10
        )
    found = protos.message("inference.ModelInferResponse").FromString(answer)
    return found.outputs[0].contents.fp32_contents[0]


def by_grpcurl(grpcurl: str, target: str, model: str, row: Row) -> float:
    """The score as grpcurl gets it, which has the protocol from the server's reflection alone."""
    tensors = [
        {
            "name": name,
            "shape": [1],
            "datatype": _type(value),
            "contents": {"bytesContents": [base64.b64encode(value.encode()).decode()]}
            if isinstance(value, str)
            else {"fp64Contents": [value]},
        }
        for name, value in row.items()
    ]
    told = subprocess.run(
        [grpcurl, "-plaintext", "-max-time", "10", "-d", "@", target, f"{SERVICE}/ModelInfer"],
        input=json.dumps({"modelName": model, "inputs": tensors}),
        text=True, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return json.loads(told.stdout)["outputs"][0]["contents"]["fp32Contents"][0]


def by_mlflow(url: str, row: Row) -> float:
    """The score as MLflow's own client of its scoring servers gets it."""
    at = urlsplit(url)
    client = ScoringServerClient(at.hostname, at.port or 80)
    answer = client.invoke(pd.DataFrame([row])).get_predictions()
    return float(answer.iloc[0, 0])


def main(url: str, target: str, grpcurl: str, model: str, file: Path) -> dict[str, float]:
    """The row's score by each client's name."""
    row = json.loads(file.read_text())
    return {
        "named fields": post(f"{url}/predict", row)["probability"],
        "Open Inference, REST": over_rest(url, model, row),
        "Open Inference, gRPC": over_grpc(target, model, row),
        "grpcurl": by_grpcurl(grpcurl, target, model, row),
        "MLflow": by_mlflow(url, row),
    }


def _type(value: str | float) -> str:
    return "BYTES" if isinstance(value, str) else "FP64"


if __name__ == "__main__":
    url, target, grpcurl, model, file = sys.argv[1:]
    print(json.dumps(main(url, target, grpcurl, model, Path(file))))
