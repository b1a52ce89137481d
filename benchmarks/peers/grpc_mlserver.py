"""MLServer's runtime over the same weights, in an environment with mlserver and onnxruntime."""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):
    """Reads each input with MLServer's codecs, scores, answers."""

    async def load(self) -> bool:
        folder = Path(os.environ["MODEL_FOLDER"])
        self._features = json.loads((folder / "model.json").read_text())["schema"]["features"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        given = {tensor.name: tensor for tensor in payload.inputs}
        columns = []
        for feature in self._features:
            tensor = given[feature["name"]]
            if feature["type"] == "category":
                words = StringCodec.decode_input(tensor)
                columns.append([feature["values"].index(word) for word in words])
            else:
                column = NumpyCodec.decode_input(tensor).reshape(-1)
                columns.append(np.log1p(column) if feature.get("log") else column)
        matrix = np.array(columns, np.float64).T.astype(np.float32)
        (scores,) = self._session.run(("probability",), {"features": matrix})
        output = NumpyCodec.encode_output("probability", np.asarray(scores))
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])
