"""Which images the mirror holds, and from what each is built."""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab.toolchain import catalog as toolchain

HERE = Path(__file__).parent
RECIPES = HERE / "recipes"
MIRRORED = ("docker.io", "quay.io", "ghcr.io", "registry.k8s.io")


@dataclass(frozen=True)
class Image:
    """One image of the mirror."""

    name: str
    """As manifests write it: registry, repository and tag."""
    recipe: str
    tool: str = ""
    binary: str = ""
    """Which of the tool's; empty: the one of its name."""
    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    program: str = ""

    @property
    def repository(self) -> str:
        return self.name.rsplit(":", 1)[0]

    @property
    def tag(self) -> str:
        return self.name.rsplit(":", 1)[1]

    @property
    def dockerfile(self) -> Path:
        return RECIPES / f"{self.recipe}.Dockerfile"

    def sources(self) -> list[Path]:
        """The files of this repository that decide what is in the image."""
        own = [RECIPES / name for name in self.files if not name.startswith("/")]
        if self.packages:
            own.append(HERE / "base.py")
        if self.program:
            own.append(HERE / self.program / "main.go")
        return [self.dockerfile, *own]

    def mark(self) -> str:
        """A second tag, which the mirror has only when it holds just this build of the image."""
        parts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self.sources()]
        if self.tool:
            parts.append(toolchain.tools()[self.tool].key)
        parts += self.packages
        return "built-" + hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def read(text: str) -> list[Image]:
    """Images in the order of a TOML file like images.toml."""
    entries: list[dict[str, Any]] = tomllib.loads(text)["image"]
    return [
        Image(
            files=tuple(entry.pop("files", ())), packages=tuple(entry.pop("packages", ())), **entry
        )
        for entry in entries
    ]


@cache
def images() -> tuple[Image, ...]:
    """The lab's own images."""
    return tuple(read((HERE / "images.toml").read_text()))
