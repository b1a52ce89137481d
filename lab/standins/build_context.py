"""What a build sees of a folder: the files that .dockerignore leaves, as one digest."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    keeps: bool
    """Whether the rule is an exception (`!pattern`)."""


class Ignore:
    """The rules of a .dockerignore file; the last one that matches a path decides."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rules = list(_rules(lines))

    def __contains__(self, path: str) -> bool:
        """Whether a path, relative to the context and with `/`, is left out of the build."""
        places = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
        for rule in reversed(self._rules):
            # A rule for a folder holds for everything in it.
            if any(rule.pattern.fullmatch(place) for place in places):
                return not rule.keeps
        return False

    @property
    def prunes(self) -> bool:
        """Whether nothing inside an ignored folder can be kept."""
        return not any(rule.keeps for rule in self._rules)


def ignore_file(context: Path, dockerfile: Path) -> Path | None:
    """The ignore file of a build: the Dockerfile's own one, or the context's; None without."""
    for file in (
        dockerfile.with_name(f"{dockerfile.name}.dockerignore"),
        context / ".dockerignore",
    ):
        if file.is_file():
            return file
    return None


def files(context: Path, ignore: Ignore) -> Iterator[str]:
    """The files and links that are sent to a build, relative to the context, sorted."""
    found: list[str] = []
    for folder, folders, names in os.walk(context):
        inside = Path(folder).relative_to(context)
        for name in [*names, *folders]:
            path = (inside / name).as_posix()
            whole = context / path
            # Pipes and sockets are nothing to build from; a folder counts by what is in it.
            if (whole.is_symlink() or whole.is_file()) and path not in ignore:
                found.append(path)
        if ignore.prunes:
            folders[:] = [name for name in folders if (inside / name).as_posix() not in ignore]
    yield from sorted(found)


def digest(context: Path, dockerfile: Path) -> str:
    """SHA-256 over paths, contents, links and executable bits of what a build sees.

    The Dockerfile always counts, even where it is ignored or outside the context. Raises OSError.
    """
    rules = ignore_file(context, dockerfile)
    ignore = Ignore(rules.read_text(encoding="utf-8").splitlines() if rules else [])
    total = hashlib.sha256(dockerfile.read_bytes())
    for path in files(context, ignore):
        total.update(f"\n{path}\0{_content(context / path)}".encode())
    return total.hexdigest()


def _content(file: Path) -> str:
    if file.is_symlink():
        return f"link {os.readlink(file)}"
    with file.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"{'x' if file.stat().st_mode & 0o111 else '-'} {content}"


def _rules(lines: Iterable[str]) -> Iterator[_Rule]:
    for line in lines:
        if line.startswith("#"):
            continue
        text = line.strip()
        keeps = text.startswith("!")
        pattern = os.path.normpath(text.removeprefix("!").strip() or ".").lstrip("/")
        if pattern not in {"", "."}:
            yield _Rule(_expression(pattern), keeps)


def _expression(pattern: str) -> re.Pattern[str]:
    """`*`, `?`, `[a-z]` within a name, `**` across folders, a backslash before literals."""
    made, rest = "", pattern
    while rest:
        if rest.startswith("**/"):
            made, rest = made + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            made, rest = made + ".*", rest[2:]
        elif found := re.match(r"\[\^?[^\]]+\]", rest):
            made, rest = made + found[0], rest[found.end() :]
        else:
            size = 2 if rest[0] == "\\" and len(rest) > 1 else 1
            one = {"*": "[^/]*", "?": "[^/]"}.get(rest[:size]) or re.escape(rest[size - 1])
            made, rest = made + one, rest[size:]
    return re.compile(made, re.DOTALL)
