"""What the lab's tools are: tools.toml read together with each tool's Go lock."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lab.errors import LabError

HERE = Path(__file__).parent
# -modcacherw, or the module cache cannot be deleted.
FLAGS = ("-mod=readonly", "-modcacherw", "-trimpath")


class ToolchainError(LabError):
    """A tool cannot be had; the message says which, why and what to do."""


@dataclass(frozen=True)
class Lock:
    """What Go's lock of one tool says, and the folder it stands in."""

    folder: Path
    packages: tuple[str, ...]
    versions: Mapping[str, str]
    digest: str


@dataclass(frozen=True)
class Tool:
    """One tool: what to build, how, and under which key the result is kept."""

    name: str
    module: str
    lock: Lock
    variables: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, list[str]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    experiment: str = ""
    """Of Go's that the tool needs, as in GOEXPERIMENT."""
    release: str = ""
    default: bool = True

    @property
    def version(self) -> str:
        return self.release or self.lock.versions[self.module]

    @property
    def binaries(self) -> tuple[str, ...]:
        """The executables' names, in the order of the lock's packages."""
        names = (go_binary(package) for package in self.lock.packages)
        return tuple(self.rename.get(name, name) for name in names)

    @property
    def ldflags(self) -> str:
        major, minor, *_ = self.version.removeprefix("v").split(".")
        values = {"version": self.version, "major": major, "minor": minor}
        assignments = [
            f"-X {name}={value.format(**values)}" for name, value in self.variables.items()
        ]
        return " ".join(["-s", "-w", *assignments])

    @property
    def flags(self) -> tuple[str, ...]:
        """What `go build` is given beside the linker's."""
        return (*FLAGS, "-tags", ",".join(self.tags)) if self.tags else FLAGS

    @property
    def key(self) -> str:
        """The tool's folder in the cache; any change of its lock or flags gives another."""
        recipe = [self.lock.digest, self.flags, self.ldflags, dict(self.rename), dict(self.keep)]
        if self.experiment:
            recipe.append(self.experiment)
        digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()
        return f"{self.name}-{self.version}-{digest[:8]}"


def go_binary(package: str) -> str:
    """The name `go build` gives a package's executable: a final `/v2` and above does not count."""
    *head, last = package.split("/")
    return head[-1] if head and re.fullmatch(r"v([2-9]|[1-9]\d+)", last) else last


def read_lock(folder: Path) -> Lock:
    """Reads go.mod and go.sum of a folder."""
    text = (folder / "go.mod").read_text()
    versions = dict(line.split()[:2] for line in _directives(text, "require"))
    digest = hashlib.sha256(text.encode() + (folder / "go.sum").read_bytes()).hexdigest()
    return Lock(folder, tuple(_directives(text, "tool")), versions, digest)


def read_tools(file: Path) -> dict[str, Tool]:
    """Every tool by name, in the file's order; locks lie in `modules/<name>` beside the file."""
    entries: dict[str, dict[str, Any]] = tomllib.loads(file.read_text())["tools"]
    tools: dict[str, Tool] = {}
    for name, entry in entries.items():
        lock = read_lock(file.parent / "modules" / name)
        if entry["module"] not in lock.versions:
            raise ToolchainError(
                f"{lock.folder / 'go.mod'} does not require {entry['module']}, "
                f"the module of [tools.{name}] in {file}"
            )
        tools[name] = Tool(name=name, lock=lock, tags=tuple(entry.pop("tags", ())), **entry)
    return tools


@cache
def tools() -> dict[str, Tool]:
    """The lab's own tools."""
    return read_tools(HERE / "tools.toml")


@cache
def packages() -> tuple[str, ...]:
    """The lab's Debian packages."""
    return tuple(tomllib.loads((HERE / "tools.toml").read_text())["debian"]["packages"])


def select(catalog: Mapping[str, Tool], names: Iterable[str] | None) -> list[Tool]:
    """The tools named, in the catalog's order; without names, the default ones."""
    if names is None:
        return [tool for tool in catalog.values() if tool.default]
    wanted = set(names)
    if unknown := wanted - catalog.keys():
        raise ToolchainError(
            f"unknown tool {', '.join(sorted(unknown))}; there are {', '.join(catalog)}"
        )
    return [tool for tool in catalog.values() if tool.name in wanted]


def _directives(text: str, word: str) -> list[str]:
    """The arguments of a go.mod directive, from single lines and blocks alike."""
    found: list[str] = []
    inside = False
    for raw in text.splitlines():
        line = raw.split("//")[0].strip()
        if inside:
            inside = line != ")"
            if inside and line:
                found.append(line)
        elif line == f"{word} (":
            inside = True
        elif line.startswith(f"{word} "):
            found.append(line.removeprefix(word).strip())
    return found
