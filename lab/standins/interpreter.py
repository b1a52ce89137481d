"""Which Python runs a program, by the runtime options of its `Pulumi.yaml`."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.standins.values import Value


class InterpreterError(Exception):
    """Options that name no usable Python; the message says what to do."""


@dataclass(frozen=True)
class Interpreter:
    """A Python and the virtual environment it belongs to, None for the lab's own."""

    executable: Path
    environment: Path | None

    def variables(self) -> dict[str, str]:
        """The environment for a child: activated, and with bytecode caching on."""
        variables = dict(os.environ)
        # Imports take several times longer without .pyc files.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        variables.pop("PYTHONHOME", None)
        if self.environment:
            variables["VIRTUAL_ENV"] = str(self.environment)
            variables["PATH"] = f"{self.environment / 'bin'}{os.pathsep}{variables.get('PATH', '')}"
        return variables


def find(root: Path, options: Mapping[str, Value]) -> Interpreter:
    """The interpreter of the project at `root`. Raises InterpreterError when it is not there."""
    environment = environment_of(root, options)
    if environment is None:
        return Interpreter(Path(sys.executable), None)
    executable = environment / "bin" / "python"
    if not executable.is_file():
        raise InterpreterError(
            f"{root}: the virtual environment {environment} has no bin/python; run `pulumi install`"
        )
    return Interpreter(executable, environment)


def environment_of(root: Path, options: Mapping[str, Value]) -> Path | None:
    """Where the options put the virtual environment; None if they name none."""
    toolchain = options.get("toolchain", "pip")
    if toolchain not in ("pip", "uv"):
        raise InterpreterError(
            f"{root}: runtime option toolchain: {toolchain} is not covered; use uv, or pip"
        )
    if named := options.get("virtualenv"):
        return (root / str(named)).absolute()
    return (root / ".venv").absolute() if toolchain == "uv" else None


def install_commands(root: Path, options: Mapping[str, Value]) -> list[list[str]]:
    """The commands, to be run in `root`, that make the environment and fill it."""
    environment = environment_of(root, options)
    if options.get("toolchain") == "uv":
        if not (uv := shutil.which("uv")):
            raise InterpreterError(f"{root}: toolchain: uv needs `uv` on PATH; `pip install uv`")
        return [[uv, "sync"]]
    if environment is None:
        return []
    commands = []
    if not (environment / "bin" / "python").is_file():
        commands.append([sys.executable, "-m", "venv", str(environment)])
    if (root / "requirements.txt").is_file():
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install"]
        commands.append([*pip, "-r", "requirements.txt"])
    return commands
