"""The digest changes with every byte and name of a model, and with nothing else."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import weights

NAMES = st.text("abc.-_", min_size=1, max_size=5).filter(lambda name: name.strip("."))
FOLDERS = st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=5)


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@given(FOLDERS, FOLDERS)
def test_digests_are_equal_exactly_when_folders_are(
    tmp_path_factory: pytest.TempPathFactory, left: dict[str, bytes], right: dict[str, bytes]
) -> None:
    base = tmp_path_factory.mktemp("digest")
    digests = [
        weights.digest(_write(base / "left", left)),
        # Written in another order: the file system's order must not matter.
        weights.digest(_write(base / "right", dict(reversed(right.items())))),
    ]
    assert (digests[0] == digests[1]) == (left == right)


def test_sha256sum_can_recompute_the_digest(tmp_path: Path) -> None:
    folder = _write(tmp_path / "model", {"b": b"2", "a": b"1"})
    (folder / "sub").mkdir()
    (folder / "sub" / "c").write_bytes(b"3")
    lines = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("a", b"1"), ("b", b"2"), ("sub/c", b"3"))
    )
    assert weights.digest(folder) == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("target", ["model.onnx", "/etc/hostname", "missing", "."])
def test_a_link_is_refused(tmp_path: Path, target: str) -> None:
    folder = _write(tmp_path / "model", {"model.onnx": b"1"})
    (folder / "link").symlink_to(target)
    with pytest.raises(weights.UnsafeFile, match="link"):
        weights.digest(folder)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "model", {"model.onnx": b"1"})
    os.mkfifo(folder / "pipe")
    with pytest.raises(weights.UnsafeFile, match="pipe"):
        weights.digest(folder)


def test_a_line_break_in_a_name_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "model", {"a\nb": b"1"})
    with pytest.raises(weights.UnsafeFile, match="line break"):
        weights.digest(folder)


def test_an_empty_folder_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        weights.digest(tmp_path)
