"""Malicious model files of every container format are refused, and nothing in them runs."""

import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import mlflow.artifacts
import numpy as np
import onnx
import pytest
from conftest import ROOT, Checked, Trained
from mlflow.entities import FileInfo
from onnx import TensorProto, helper

from app import console, fetch, safety, weights
from app.serving import model as served

PICKLE_OPCODES = (b"csubprocess\n", b"cposix\n", b"cos\n", b"c__builtin__\n", b"cbuiltins\n")


class Bomb:
    """Leaves `marker` behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str, int]]:
        return os.open, (str(self.marker), os.O_CREAT | os.O_WRONLY)


def _pickle(marker: Path) -> bytes:
    return pickle.dumps(Bomb(marker))


def _joblib(marker: Path) -> bytes:
    out = io.BytesIO()
    joblib.dump(Bomb(marker), out, compress=3)
    return out.getvalue()


def _npy(marker: Path) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([Bomb(marker)], object), allow_pickle=True)
    return out.getvalue()


def _npz(marker: Path) -> bytes:
    out = io.BytesIO()
    np.savez(out, weights=np.array([Bomb(marker)], object))
    return out.getvalue()


def _torch(marker: Path) -> bytes:
    """As torch.save writes it: a zip with a pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", _pickle(marker))
        archive.writestr("archive/version", "3\n")
    return out.getvalue()


def _keras_h5(marker: Path) -> bytes:
    """HDF5's signature, then a Lambda layer's marshalled code as Keras keeps it."""
    return b"\x89HDF\r\n\x1a\n" + bytes(40) + b'{"class_name": "Lambda"}' + _pickle(marker)


def _skops(marker: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "schema.json", '{"__class__": "system", "__module__": "os", "__loader__": "TypeNode"}'
        )
        archive.writestr("content.pkl", _pickle(marker))
    return out.getvalue()


def _zip_bomb(_: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 * 1024 * 1024))
    return out.getvalue()


def _gzip_bomb(_: Path) -> bytes:
    return zlib.compress(bytes(64 * 1024 * 1024), 9)


def _graph(*tensors: TensorProto, **options: Any) -> bytes:  # noqa: ANN401
    """A graph that looks like a model's, with further parts."""
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 21])]
    outputs = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None])]
    nodes = options.pop("nodes", [helper.make_node("Add", ["features", "w"], ["probability"])])
    graph = helper.make_graph(nodes, "model", inputs, outputs, list(tensors))
    return helper.make_model(graph, **options).SerializeToString()


def _external(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def _onnx_outside(marker: Path) -> bytes:
    secret = marker.parent / "secret.bin"
    secret.write_bytes(np.ones(4, np.float32).tobytes())
    return _graph(_external(f"../{secret.name}"))


def _onnx_absolute(_: Path) -> bytes:
    return _graph(_external("/etc/passwd"))


def _onnx_beside(_: Path) -> bytes:
    return _graph(_external("golden.json"))


def _onnx_in_a_branch(_: Path) -> bytes:
    """External data in the attribute of a node within a node's own graph."""
    constant = helper.make_node("Constant", [], ["v"], value=_external("golden.json"))
    branch = helper.make_graph([constant], "branch", [], [])
    node = helper.make_node("If", ["c"], ["probability"], then_branch=branch, else_branch=branch)
    return _graph(nodes=[node])


def _onnx_sparse(_: Path) -> bytes:
    sparse = onnx.SparseTensorProto(values=_external("golden.json"), dims=[4])
    node = helper.make_node("Constant", [], ["probability"], sparse_value=sparse)
    return _graph(nodes=[node])


def _onnx_foreign_operator(_: Path) -> bytes:
    node = helper.make_node("Shell", ["features"], ["probability"], domain="evil.custom")
    return _graph(nodes=[node], opset_imports=[helper.make_opsetid("evil.custom", 1)])


def _onnx_function(_: Path) -> bytes:
    body = [helper.make_node("Identity", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", 21)]
    function = helper.make_function("ai.onnx.ml", "Own", ["x"], ["y"], body, opsets)
    return _graph(functions=[function])


def _onnx_truncated(_: Path) -> bytes:
    return _graph()[:-3]


def _huge_length(_: Path) -> bytes:
    """A field that claims two gigabytes."""
    return b"\x3a" + b"\xff\xff\xff\xff\x07" + struct.pack("<I", 0)


FORMATS: dict[str, Callable[[Path], bytes]] = {
    made.__name__.strip("_"): made
    for made in (
        _pickle,
        _joblib,
        _npy,
        _npz,
        _torch,
        _keras_h5,
        _skops,
        _zip_bomb,
        _gzip_bomb,
        _onnx_outside,
        _onnx_absolute,
        _onnx_beside,
        _onnx_in_a_branch,
        _onnx_sparse,
        _onnx_foreign_operator,
        _onnx_function,
        _onnx_truncated,
        _huge_length,
    )
}
SUFFIXES = ("pkl", "joblib", "npy", "npz", "h5", "keras", "pt", "skops", "zip", "py", "so", "pth")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


def test_the_bombs_are_live(marker: Path) -> None:
    os.close(pickle.loads(_pickle(marker)))  # noqa: S301 - shows that the test would see one
    assert marker.exists()


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_is_taken_for_a_graph(
    checked: Checked, folder: Path, marker: Path, name: str
) -> None:
    (folder / "model.onnx").write_bytes(FORMATS[name](marker))
    # Its digest is right: whoever can write a model can write its digest.
    digest = weights.digest(folder)
    with pytest.raises(console.Refused, match=r"model\.onnx"):
        safety.check(folder)
    with pytest.raises(served.Unfit):
        served.load(folder, digest)
    assert checked(folder, digest) == 3
    assert not marker.exists()


@pytest.mark.parametrize("name", ["pickle", "joblib", "npz", "torch", "zip_bomb", "huge_length"])
@pytest.mark.parametrize("file", ["model.json", "golden.json"])
def test_no_format_is_taken_for_metadata(
    checked: Checked, folder: Path, marker: Path, name: str, file: str
) -> None:
    (folder / file).write_bytes(FORMATS[name](marker))
    digest = weights.digest(folder)
    with pytest.raises(served.Unfit, match="metadata cannot be read"):
        served.load(folder, digest)
    assert checked(folder, digest) == 3
    assert not marker.exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_beside_the_three_is_refused(
    checked: Checked, folder: Path, marker: Path, suffix: str
) -> None:
    (folder / f"model.{suffix}").write_bytes(_pickle(marker))
    with pytest.raises(console.Refused, match=rf"too many: model\.{suffix}"):
        safety.check(folder)
    assert checked(folder, weights.digest(folder)) == 3
    assert not marker.exists()


def test_a_folder_within_the_model_is_refused(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "data.pkl").touch()
    with pytest.raises(console.Refused, match=r"too many: sub/data\.pkl"):
        safety.check(folder)


def test_a_link_out_of_the_model_is_refused(folder: Path) -> None:
    (folder / "golden.json").unlink()
    (folder / "golden.json").symlink_to("/etc/passwd")
    with pytest.raises(console.Refused, match="no regular file"):
        safety.check(folder)


def test_the_trained_model_is_safe(folder: Path) -> None:
    safety.check(folder)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"golden.json": 1, "model.json": 1}, "missing: model.onnx"),
        (
            {"golden.json": 1, "model.json": 1, "model.onnx": safety.MAX_BYTES + 1},
            f"model.onnx has {safety.MAX_BYTES + 1} bytes",
        ),
    ],
)
def test_what_no_model_has_is_not_downloaded(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(console.Refused, match=message):
        safety.check_names(sizes)


def test_a_run_with_a_pickle_is_not_fetched(
    trained: Trained, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [FileInfo(f"model/{name}", False, 1) for name in (*weights.MODEL_FILES, "model.pkl")]
    monkeypatch.setattr(mlflow.artifacts, "list_artifacts", lambda **_: listed)
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda **_: pytest.fail("asked"))
    with pytest.raises(console.Refused, match=r"too many: model\.pkl"):
        fetch.fetch("run", trained.weights, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_nothing_that_is_served_is_a_pickle_or_reads_one(trained: Trained) -> None:
    """The model's files, and the code that the image's Dockerfile copies."""
    for path in trained.folder.iterdir():
        content = path.read_bytes()
        assert content[:1] != b"\x80"
        assert not any(opcode in content for opcode in PICKLE_OPCODES)
        assert not zipfile.is_zipfile(path)
    served_code = [
        *(ROOT / "app" / "serving").rglob("*.py"),
        *(ROOT / "app" / name for name in ("__init__.py", "schema.py", "weights.py")),
    ]
    readers = ("pickle", "joblib", "marshal", "dill", "shelve", "skops", "torch", "eval(", "exec(")
    for path in served_code:
        text = path.read_text()
        assert not [word for word in readers if f"import {word}" in text or f" {word}" in text], (
            path
        )
