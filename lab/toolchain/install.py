"""Sees to it that the tools asked for are in the cache, a line per tool."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from lab import paths
from lab.lock import alone
from lab.toolchain import store
from lab.toolchain.build import build
from lab.toolchain.catalog import Tool, ToolchainError, select, tools
from lab.toolchain.progress import console, showing

GB = 10**9
FREE_FOR_ONE = 5 * GB
FREE_FOR_ALL = 20 * GB


def ensure(names: Iterable[str] | None = None) -> None:
    """Builds what is missing of the tools named (without names, of all default ones).

    A tool once finished stays finished, whatever becomes of the next. Raises ToolchainError.
    """
    wanted = select(tools(), names)
    for tool in wanted:
        if own := store.official(tool):
            console.print(f"{tool.name}: {own} from PATH is used")
    if not store.missing(wanted):
        return
    if not shutil.which("go"):
        raise ToolchainError("there is no `go` on PATH; get it from https://go.dev/dl")
    caches = paths.cache() / "go"
    with alone(paths.cache() / "lock", console.print):
        todo = store.missing(wanted)
        _check_room(todo, caches)
        for tool in todo:
            _install(tool, caches)
        shutil.rmtree(caches, ignore_errors=True)


def needed(count: int) -> int:
    """Bytes that building so many tools takes for a while; most are Go's caches, dropped after."""
    return min(FREE_FOR_ALL, count * FREE_FOR_ONE)


def _check_room(todo: list[Tool], caches: Path) -> None:
    free = shutil.disk_usage(paths.cache()).free
    # What an interrupted run left in Go's caches need not be fetched again.
    if free < needed(len(todo)) and free + _size(caches) < needed(len(todo)):
        raise ToolchainError(
            f"building {', '.join(tool.name for tool in todo)} takes about "
            f"{needed(len(todo)) / GB:.0f} GB for a while and {paths.cache()} has "
            f"{free / GB:.1f} GB free; make room, or set FERRY_CACHE to a folder on a larger disk"
        )


def _install(tool: Tool, caches: Path) -> None:
    what = f"{tool.name:19} {tool.version:9}"
    began = time.monotonic()
    with showing(f"{what} building"):
        target = store.folder(tool)
        target.parent.mkdir(parents=True, exist_ok=True)
        build(tool, target, caches, paths.cache() / "logs" / f"{tool.key}.log")
    seconds = time.monotonic() - began
    console.print(f"{what} ready {seconds:5.0f} s {_size(target) / 10**6:5.0f} MB")


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
