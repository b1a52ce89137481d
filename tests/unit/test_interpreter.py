"""Which Python the language host chooses, and how it is installed."""

import sys
from pathlib import Path

import pytest

from lab.standins import interpreter
from lab.standins.interpreter import InterpreterError


def made(root: Path, name: str) -> Path:
    """A virtual environment, as far as it is looked at."""
    executable = root / name / "bin" / "python"
    executable.parent.mkdir(parents=True)
    executable.touch()
    return executable


def test_without_options_it_is_the_labs_own(tmp_path: Path) -> None:
    chosen = interpreter.find(tmp_path, {})
    assert (chosen.executable, chosen.environment) == (Path(sys.executable), None)


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ({"virtualenv": "own"}, "own"),
        ({"toolchain": "pip", "virtualenv": "own"}, "own"),
        ({"toolchain": "uv"}, ".venv"),
        ({"toolchain": "uv", "virtualenv": "own"}, "own"),
    ],
)
def test_options_name_the_environment(tmp_path: Path, options: dict[str, str], folder: str) -> None:
    executable = made(tmp_path, folder)
    chosen = interpreter.find(tmp_path, options)
    assert (chosen.executable, chosen.environment) == (executable, tmp_path / folder)


def test_a_missing_environment_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match=r"own has no bin/python; run `pulumi install`"):
        interpreter.find(tmp_path, {"virtualenv": "own"})


def test_a_toolchain_that_is_not_covered_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match="toolchain: poetry is not covered; use uv, or pip"):
        interpreter.find(tmp_path, {"toolchain": "poetry"})


def test_children_have_the_environment_active_and_cache_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PATH", "/usr/bin")
    made(tmp_path, "own")
    variables = interpreter.find(tmp_path, {"virtualenv": "own"}).variables()
    assert "PYTHONDONTWRITEBYTECODE" not in variables
    assert variables["VIRTUAL_ENV"] == str(tmp_path / "own")
    assert variables["PATH"] == f"{tmp_path / 'own' / 'bin'}:/usr/bin"


def test_installing_makes_what_is_missing_and_fills_it(tmp_path: Path) -> None:
    python = str(tmp_path / "own" / "bin" / "python")
    make = [sys.executable, "-m", "venv", str(tmp_path / "own")]
    fill = [python, "-m", "pip", "install", "-r", "requirements.txt"]
    assert interpreter.install_commands(tmp_path, {"virtualenv": "own"}) == [make]
    (tmp_path / "requirements.txt").touch()
    assert interpreter.install_commands(tmp_path, {"virtualenv": "own"}) == [make, fill]
    made(tmp_path, "own")
    assert interpreter.install_commands(tmp_path, {"virtualenv": "own"}) == [fill]
    assert interpreter.install_commands(tmp_path, {}) == []


def test_uv_installs_by_its_own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(uv.parent))
    assert interpreter.install_commands(tmp_path, {"toolchain": "uv"}) == [[str(uv), "sync"]]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InterpreterError, match="needs `uv` on PATH"):
        interpreter.install_commands(tmp_path, {"toolchain": "uv"})
