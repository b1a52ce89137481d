"""`python grpc_ask.py MODEL_FOLDER [PORT]`: without a port, one row's request in bytes on stdout;
with one, the largest difference of a server's scores from those of training."""

import json
import sys
from pathlib import Path

import grpc

from app.serving import protos


def request(features: list[dict], rows: list[dict]) -> bytes:
    found = protos.message("inference.ModelInferRequest")(model_name="credit-default")
    for feature in features:
        tensor = found.inputs.add(name=feature["name"], shape=(len(rows),))
        values = [row[feature["name"]] for row in rows]
        if feature["type"] == "category":
            tensor.datatype = "BYTES"
            tensor.contents.bytes_contents.extend(value.encode() for value in values)
        elif feature["type"] == "integer":
            tensor.datatype = "INT64"
            tensor.contents.int64_contents.extend(int(value) for value in values)
        else:
            tensor.datatype = "FP64"
            tensor.contents.fp64_contents.extend(values)
    return found.SerializeToString()


def main() -> None:
    folder = Path(sys.argv[1])
    features = json.loads((folder / "model.json").read_text())["schema"]["features"]
    golden = json.loads((folder / "golden.json").read_text())
    if len(sys.argv) == 2:
        sys.stdout.buffer.write(request(features, golden["rows"][:1]))
        return
    channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[2]}")
    method = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    response = protos.message("inference.ModelInferResponse")
    worst = 0.0
    for row, expected in zip(golden["rows"], golden["probabilities"], strict=True):
        (output,) = response.FromString(method(request(features, [row]), timeout=30)).outputs
        (score,) = [*output.contents.fp32_contents, *output.contents.fp64_contents]
        worst = max(worst, abs(score - expected))
    print(worst)


if __name__ == "__main__":
    main()
