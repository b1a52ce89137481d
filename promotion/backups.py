"""The copies of a stack's MLflow in its bucket: which there are, and which one to put back."""

import hashlib
import io
import re
import sqlite3
import tarfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from promotion import evidence
from promotion.refusals import GateRefused

PREFIX = "backups/mlflow/"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{64})\.tar\.gz", re.ASCII)
_REGISTRY = "mlflow.db"

Version = tuple[str, int]
"""A model's name and the number of one of its versions."""


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One copy, as its key tells of it."""

    key: str
    at: datetime
    sha256: str
    bytes: int


def of_key(key: str, size: int) -> Backup | None:
    """What a key says; None where it names no copy."""
    found = _NAME.fullmatch(key.removeprefix(PREFIX))
    if found is None or not key.startswith(PREFIX):
        return None
    try:
        at = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None  # such as a 30th of February
    return Backup(key=key, at=at, sha256=found[2], bytes=size)


def listed(bucket: Any) -> list[Backup]:  # noqa: ANN401 - boto3 resource
    """Every copy in the bucket, newest first; no content is read."""
    found = filter(None, (of_key(key, size) for key, size in evidence.listed(bucket, PREFIX)))
    return sorted(found, key=lambda each: (each.at, each.key), reverse=True)


def chosen(
    found: Iterable[Backup],
    read: Callable[[str], bytes | None],
    *,
    at: datetime | None,
    wanted: frozenset[Version],
    say: Callable[[str], None],
) -> Backup:
    """The newest copy that is what its name says and holds all `wanted` versions.

    Of `found`, newest first; with `at` the newest not after that time, whatever versions it holds.
    Each one passed over is told. Raises `GateRefused` where there is none.
    """
    for each in found:
        if at is not None and each.at > at:
            continue
        content = read(each.key)
        if content is None or hashlib.sha256(content).hexdigest() != each.sha256:
            say(f"{each.key} is passed over: its bytes are others than its name says")
            continue
        held = versions(content)
        if held is None:
            say(f"{each.key} is passed over: it holds no registry of models")
        elif at is None and (lacking := wanted - held):
            say(f"{each.key} is passed over: it has no {named(lacking)}")
        else:
            return each
    before = f" of {at:%FT%TZ} or before" if at else ""
    more = "" if at else "; --at TIME takes one as it is, with the versions that it has"
    raise GateRefused(
        f"the bucket holds no backup{before} that can be put back. Nothing was touched{more}"
    )


def versions(content: bytes) -> frozenset[Version] | None:
    """The versions that a copy's registry has; None where it holds none that can be read."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as files:
            file = files.extractfile(_REGISTRY)
            database = file.read() if file else b""
        with closing(sqlite3.connect(":memory:")) as opened:
            opened.deserialize(database)
            rows = opened.execute(
                "SELECT name, version FROM model_versions"
                " WHERE current_stage IS NOT 'Deleted_Internal'"  # what MLflow calls deleted
            ).fetchall()
    except (tarfile.TarError, sqlite3.Error, KeyError, EOFError, OSError, zlib.error):
        return None
    return frozenset((name, int(version)) for name, version in rows)


def named(found: Iterable[Version]) -> str:
    """Versions in words."""
    return ", ".join(f"{model} version {version}" for model, version in sorted(found))
