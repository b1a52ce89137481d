"""The host's names for a lab's routes: a marked block in /etc/hosts, and nothing else in it."""

import fcntl
import logging
import os
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOSTS = Path("/etc/hosts")

_log = logging.getLogger(__name__)


def names(route: dict[str, Any], domain: str) -> set[str]:
    """The hosts of an Ingress or of Traefik's IngressRoute under the lab's own domain.

    Wildcards cannot stand in the file.
    """
    hosts = {rule.get("host", "") for rule in route["spec"].get("rules", [])}
    for rule in route["spec"].get("routes", []):
        hosts.update(re.findall(r"\bHost\(`([^`]+)`\)", rule.get("match", "")))
    return {host for host in hosts if host.endswith(f".{domain}") and "*" not in host}


def write(name: str, addresses: dict[str, str], file: Path = HOSTS) -> None:
    """Makes the lab's block hold exactly `addresses` (name to address); empty removes it."""
    with _alone(file):
        before = file.read_text()
        lines = [f"{address} {host}" for host, address in sorted(addresses.items())]
        after = with_block(before, name, lines)
        if after != before:
            _replace(file, after)
            _log.info("%s: %s", file, ", ".join(lines) or "block removed")


def has_block(name: str, file: Path = HOSTS) -> bool:
    return _begin(name) in file.read_text().split("\n")


def with_block(text: str, name: str, lines: Iterable[str]) -> str:
    """The text with the lab's block replaced; every other line stays, byte for byte.

    A block whose end is missing is taken to be its first line alone.
    """
    kept: list[str] = []
    inside = False
    rows = text.split("\n")
    for index, row in enumerate(rows):
        if row == _begin(name):
            inside = _end(name) in rows[index:]
        elif inside and row == _end(name):
            inside = False
        elif not inside and row != _end(name):
            kept.append(row)
    block = list(lines)
    if block:
        if kept and kept[-1] == "":
            kept.pop()
        kept += [_begin(name), *block, _end(name), ""]
    return "\n".join(kept)


def _begin(name: str) -> str:
    return f"# ferry-{name} begin"


def _end(name: str) -> str:
    return f"# ferry-{name} end"


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.ferry")
    partial.write_text(text)
    partial.chmod(file.stat().st_mode & 0o777)
    try:
        partial.replace(file)
    except (
        OSError
    ):  # the file is a mount of its own, as in a container: only its content can change
        partial.unlink()
        file.write_text(text)


@contextmanager
def _alone(file: Path) -> Generator[None]:
    # Of the folder, since the file itself is replaced.
    descriptor = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
