"""Where finished tools are: the only place that knows the cache's layout."""

import os
import shutil
from pathlib import Path

from lab import paths
from lab.toolchain.catalog import Tool, ToolchainError, tools


def folder(tool: Tool) -> Path:
    """The tool's own folder; it exists only once the tool is whole."""
    return paths.cache() / "tools" / tool.key


def missing(wanted: list[Tool]) -> list[Tool]:
    """Those that have to be built."""
    return [tool for tool in wanted if not folder(tool).is_dir() and not official(tool)]


def official(tool: Tool) -> Path | None:
    """The person's own Pulumi, which is used instead of building one."""
    return official_pulumi() if tool.name == "pulumi" else None


def official_pulumi() -> Path | None:
    """The first `pulumi` on PATH that is not one of our launchers."""
    for entry in os.get_exec_path():
        if Path(entry).is_relative_to(paths.states()):
            continue
        found = shutil.which("pulumi", path=entry)
        if found and not Path(found).resolve().is_relative_to(paths.cache().resolve()):
            return Path(found)
    return None


def binary(name: str) -> Path:
    """The executable `name`, e.g. `kubectl`; ToolchainError when its tool is not built yet."""
    for tool in tools().values():
        if name in tool.binaries:
            return official(tool) or _inside(tool, f"bin/{name}")
    known = ", ".join(name for tool in tools().values() for name in tool.binaries)
    raise ToolchainError(f"no tool gives {name}; there are {known}")


def module(name: str) -> Path:
    """The files kept from the module of the tool `name`: manifests, charts, Pulumi's runner."""
    if name not in tools():
        raise ToolchainError(f"unknown tool {name}; there are {', '.join(tools())}")
    return _inside(tools()[name], "module")


def _inside(tool: Tool, name: str) -> Path:
    place = folder(tool) / name
    if not place.exists():
        raise ToolchainError(f"{place} is missing; run `python -m lab.toolchain {tool.name}`")
    return place
