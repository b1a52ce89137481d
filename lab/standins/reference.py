"""Image references, completed and taken apart the way the `docker` command does it."""

import re
from dataclasses import dataclass, replace
from typing import Final

_DEFAULT_HOST: Final = "docker.io"
_PATH: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG: Final = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_LOOPBACK: Final = re.compile(r"localhost|127(\.[0-9]+){3}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    """Where an image lies: a registry host, a repository and at most one of tag and digest."""

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """Host and path, as they stand before `:tag` or `@digest`."""
        return f"{self.host}/{self.path}"

    @property
    def tagged(self) -> "Reference":
        """The same reference with the tag `latest` where neither tag nor digest is given."""
        return self if self.tag or self.digest else replace(self, tag="latest")

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine, which docker reads as plain http."""
        return bool(_LOOPBACK.fullmatch(self.host.rsplit(":", 1)[0]))

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.repository + tag + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """The reference that docker reads in `text`. Raises ValueError, naming the text."""
    rest, _, digest = text.partition("@")
    first, slash, remainder = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, rest = first, remainder
    else:
        host = _DEFAULT_HOST
    path, colon, tag = rest.partition(":")
    if host == _DEFAULT_HOST and "/" not in path:
        path = f"library/{path}"
    if (
        not _PATH.fullmatch(path)
        or (colon and not _TAG.fullmatch(tag))
        or ("@" in text and not _DIGEST.fullmatch(digest))
    ):
        raise ValueError(f"{text!r} is no image reference: [host/]repository[:tag|@sha256:…]")
    return Reference(host, path, tag or None, digest or None)


def server(address: str) -> str:
    """The host of a registry given as `host[:port]` or as a URL. Raises ValueError."""
    host = re.sub(r"^https?://", "", address).split("/", 1)[0]
    if not host:
        raise ValueError(f"{address!r} names no registry")
    return "docker.io" if host == "index.docker.io" else host
