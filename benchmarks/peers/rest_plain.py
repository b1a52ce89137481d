"""Peers over REST that do no more than score: no limits, no metrics, no ranges, no log.

`python rest_plain.py raw|onnx|sklearn FOLDER PORT`: the folder is that of rest_fit.py.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import uvicorn

Score = Callable[[npt.NDArray[np.float32]], float]


def onnx(folder: Path) -> Score:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model/model.onnx", options)
    return lambda matrix: float(session.run(("probability",), {"features": matrix})[0][0])


def sklearn(folder: Path) -> Score:
    import joblib

    pipeline = joblib.load(folder / "pipeline.joblib")
    return lambda matrix: float(pipeline.predict_proba(matrix)[0, 1])


class Coder:
    """From the values of a row, in order, to the model's input."""

    def __init__(self, features: list[dict[str, Any]]) -> None:
        self.names = [feature["name"] for feature in features]
        self.kinds = [str if feature["type"] == "category" else float for feature in features]
        self._codes = [
            {word: place for place, word in enumerate(feature.get("values", ()))}
            for feature in features
        ]
        self._logs = [place for place, feature in enumerate(features) if feature.get("log")]

    def matrix(self, row: object) -> npt.NDArray[np.float32]:
        values = [getattr(row, name) for name in self.names]
        pairs = zip(self._codes, values, strict=True)
        coded = np.array([[codes[value] if codes else value for codes, value in pairs]], float)
        coded[:, self._logs] = np.log1p(coded[:, self._logs])
        return coded.astype(np.float32)


def raw(coder: Coder, score: Score) -> Any:  # noqa: ANN401 - an ASGI application
    """The ceiling: an ASGI application that parses, scores and answers."""
    row = msgspec.defstruct("Row", list(zip(coder.names, coder.kinds, strict=True)))
    decode = msgspec.json.Decoder(row).decode

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        content = msgspec.json.encode({"probability": score(coder.matrix(decode(body)))})
        length = str(len(content)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


def fastapi(coder: Coder, score: Score) -> Any:  # noqa: ANN401
    """As FastAPI's documentation does it: a pydantic model in, a dictionary out."""
    import pydantic
    from fastapi import FastAPI

    kinds: Any = {name: (kind, ...) for name, kind in zip(coder.names, coder.kinds, strict=True)}
    row = pydantic.create_model("Row", **kinds)
    app = FastAPI()

    @app.post("/predict")
    async def predict(given: row) -> dict[str, float]:  # ty: ignore - made above
        return {"probability": score(coder.matrix(given))}

    return app


def main(kind: str, folder: Path, port: int) -> None:
    document = json.loads((folder / "model/model.json").read_text())
    coder = Coder(document["schema"]["features"])
    score = sklearn(folder) if kind == "sklearn" else onnx(folder)
    app = (raw if kind == "raw" else fastapi)(coder, score)
    uvicorn.run(app, port=port, lifespan="off", ws="none", access_log=False, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
