"""Builds one tool from its lock, wholly or not at all."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lab.toolchain.catalog import FLAGS, Tool
from lab.toolchain.run import run


def build(tool: Tool, target: Path, caches: Path, log: Path) -> None:
    """Makes the folder `target`, which appears only when the tool is whole.

    Go's output goes to `log`. Raises ToolchainError with Go's last lines.
    """
    partial = target.parent / f".partial-{tool.name}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _fill(tool, partial, caches, log)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def keep(source: Path, names: Sequence[str], target: Path) -> None:
    """Copies files and folders of a module, each to the same place under `target`."""
    for name in names:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, place)
        else:
            shutil.copy2(source / name, place)


def _fill(tool: Tool, partial: Path, caches: Path, log: Path) -> None:
    binaries = partial / "bin"
    binaries.mkdir(parents=True)
    options = ["-o", f"{binaries}/", "-ldflags", tool.ldflags]
    _go(tool, ["build", *tool.flags, *options, *tool.lock.packages], caches, log)
    for name, better in tool.rename.items():
        (binaries / name).rename(binaries / better)
    for module, names in tool.keep.items():
        source = _go(tool, ["list", *FLAGS, "-m", "-f", "{{.Dir}}", module], caches, log)
        keep(Path(source), names, partial / "module")


def _go(tool: Tool, arguments: Sequence[str], caches: Path, log: Path) -> str:
    environment = {
        **os.environ,  # the person's proxy and flags
        "GOMODCACHE": str(caches / "mod"),
        "GOCACHE": str(caches / "build"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        **({"GOEXPERIMENT": tool.experiment} if tool.experiment else {}),
        "CGO_ENABLED": "0",  # static: the binaries also run in images without a C library
    }
    # setpriv: when this process is killed outright, Go must not go on unseen.
    command = ["setpriv", "--pdeathsig", "TERM", "go", *arguments]
    what = f"building {tool.name} {tool.version}"
    return run(command, what, log, environment, tool.lock.folder)
