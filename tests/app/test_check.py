"""The image's self-test passes the trained model and fails whatever scores otherwise."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import MODEL, ROOT, Checked, Signed, Trained
from onnx import numpy_helper

from app import weights
from app.serving import check


def test_the_trained_model_passes(
    checked: Checked, folder: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(folder, trained.weights) == 0
    said = capsys.readouterr().out
    assert f"{MODEL.name} scores as in training" in said
    assert f"onnxruntime {onnxruntime.__version__}" in said


def test_a_library_that_scores_otherwise_fails_and_each_row_is_named(
    checked: Checked,
    folder: Path,
    trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A skew of the library: the same weights, other results."""
    real = onnxruntime.InferenceSession

    class Skewed:
        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
            self._session: Any = real(*arguments, **options)

        def run(self, *arguments: Any) -> list[np.ndarray]:  # noqa: ANN401
            return [scores + np.float32(1e-4) for scores in self._session.run(*arguments)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Skewed)
    assert checked(folder, trained.weights) == 3
    said = capsys.readouterr().err
    assert "the self-test differs by 0.0001" in said
    assert f"onnxruntime {onnxruntime.__version__}" in said
    rows = re.findall(r"^row (\d): .* in training, differs by \+\S+$", said, re.MULTILINE)
    assert rows == [str(row) for row in range(8)]


def test_golden_rows_of_another_training_fail(
    checked: Checked, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    golden["probabilities"][3] += 1e-4
    (folder / "golden.json").write_text(json.dumps(golden))
    assert checked(folder, weights.digest(folder)) == 3
    assert re.findall(r"^row (\d)", capsys.readouterr().err, re.MULTILINE) == ["3"]


def test_changed_weights_fail_whatever_digest_they_have(
    checked: Checked, folder: Path, trained: Trained
) -> None:
    graph = onnx.load(folder / "model.onnx")
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            changed = numpy_helper.to_array(tensor) * np.float32(1.5)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name == "coefficients":
                attribute.floats[:] = [value * 1.5 for value in attribute.floats]
    onnx.save(graph, folder / "model.onnx")
    assert checked(folder, trained.weights) == 3
    assert checked(folder, weights.digest(folder)) == 3


def test_a_file_too_many_fails(
    checked: Checked, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "model.pkl").write_bytes(b"")
    assert checked(folder, weights.digest(folder)) == 3
    assert "model.pkl" in capsys.readouterr().err


def test_a_missing_folder_fails(tmp_path: Path) -> None:
    assert check.main(tmp_path / "none", "sha256:0", tmp_path, "sha256:1") == 3


def test_the_signature_of_other_files_fails(
    folder: Path, signed: Signed, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "golden.json").write_text(json.dumps({"rows": [], "probabilities": []}))
    assert check.main(folder, weights.digest(folder), signed.folder, signed.signer) == 3
    assert "is not what was signed: changed: golden.json" in capsys.readouterr().err


def test_the_command_fails_the_build_by_its_exit_code(
    folder: Path, trained: Trained, signed: Signed
) -> None:
    command = [sys.executable, "-m", "app.serving.check", str(folder)]
    for digest, signer, code in (
        (trained.weights, signed.signer, 0),
        ("sha256:0", signed.signer, 3),
        (trained.weights, "sha256:0", 3),
    ):
        done = subprocess.run(
            [*command, digest, str(signed.folder), signer],
            cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr


def test_the_dockerfile_checks_the_model_in_the_image_that_serves() -> None:
    """In the last stage, after the model is in it, as the user that serves."""
    lines = (ROOT / "app" / "Dockerfile").read_text().splitlines()
    last = lines[max(place for place, line in enumerate(lines) if line.startswith("FROM ")) :]
    check_line = 'RUN python -m app.serving.check model "$WEIGHTS" signature "$SIGNER"'
    assert last.index("COPY model model") < last.index(check_line)
    assert last.index("COPY signature signature") < last.index(check_line)
    assert last.index("USER 10001:10001") < last.index(check_line)
    assert last.index("ARG WEIGHTS") < last.index(check_line)
    assert last.index("ARG SIGNER") < last.index(check_line)


def test_nobody_is_told_what_is_loaded() -> None:
    told = "import os, app; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ORT_")}
    found = subprocess.run(
        [sys.executable, "-c", told], env=environment, cwd=ROOT, capture_output=True, check=True
    )
    assert found.stdout == b"1\n"
