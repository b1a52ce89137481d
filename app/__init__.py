"""The model's own road: data, features, training, registration, serving. No pulumi in it."""

import os

# onnxruntime tells its makers of every graph that it loads, unless it is told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
