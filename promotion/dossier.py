"""The evidence of one release, taken from a bucket by digest: nothing forged gets any further."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from infra.settings import Pin
from promotion import evidence
from promotion.record import Moved
from promotion.refusals import DependencyDown, GateRefused
from promotion.release import Release, digest


class Unusable(Exception):
    """Evidence that is missing or not what it has to be; the text says where and how."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A release and the files that its `release.json` lists, each with the digest listed there."""

    release: Release
    files: Mapping[str, bytes]
    made: datetime | None = None
    """When the evidence was stored where it was made, by that bucket's clock."""

    def text(self, name: str) -> str:
        """A file as text; raises `Unusable`."""
        if name not in self.files:
            raise Unusable(f"there is no {name} among the evidence")
        try:
            return self.files[name].decode()
        except UnicodeDecodeError as error:
            raise Unusable(f"{name} is no text: {error}") from error

    def document(self, name: str) -> "Part":
        """A JSON file, to be read field by field; raises `Unusable`."""
        try:
            return Part(name, json.loads(self.text(name)))
        except (ValueError, RecursionError) as error:
            raise Unusable(f"{name} is no JSON: {error}") from error


@dataclass(frozen=True)
class Part:
    """A value within a JSON file, and the words that say where it stands."""

    place: str
    value: Any

    def __getitem__(self, name: str) -> "Part":
        if not isinstance(self.value, dict):
            raise Unusable(f"{self.place} is no object")
        if name not in self.value:
            raise Unusable(f"{self.place} has no {name}")
        return Part(f"{self.place}: {name}", self.value[name])

    def items(self) -> list[tuple[str, "Part"]]:
        """The fields of an object."""
        if not isinstance(self.value, dict):
            raise Unusable(f"{self.place} is no object")
        return [(name, self[name]) for name in self.value]

    def number(self) -> float:
        """A finite number: NaN, infinity, true and text are none."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise Unusable(f"{self.place} is {self.value!r:.40}, no number")
        try:
            found = float(self.value)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise Unusable(f"{self.place} is {found}, no finite number")
        return found


def read(
    bucket: Any,  # noqa: ANN401 - boto3 resource
    model: str,
    pin: Pin,
    *,
    made: datetime | None = None,
) -> Evidence:
    """The evidence of the release that `pin` names, out of `bucket`.

    Raises `GateRefused` when `release.json` is not there or not the one that is named, and when
    a file beside it is not the one that it lists. A file that is missing is left to the gates.
    """
    folder = evidence.prefix(model, pin.version)
    key = folder + evidence.RECORD
    try:
        release = Release.read(evidence.require(bucket, key), evidence=pin.evidence)
    except ValidationError as error:
        raise GateRefused(f"{key} is no release: {error}") from error
    if release.model != model or release.pin() != pin:
        raise GateRefused(f"{key} is of {release.model} {release.version}, not what is pinned")
    files = {}
    for name, wanted in release.files.items():
        content = evidence.read(bucket, folder + name)
        if content is None:
            continue
        if digest(content) != wanted:
            raise GateRefused(
                f"{folder}{name} has digest {digest(content)}, release.json lists {wanted}: "
                "the evidence was changed after the release was built"
            )
        files[name] = content
    return Evidence(release=release, files=files, made=made)


def release_of(bucket: Any, model: str, moved: Moved) -> Release:  # noqa: ANN401
    """The release that a ledger names; `GateRefused` when it is not kept."""
    document = evidence.require(bucket, evidence.record(model, moved.version))
    return Release.read(document, evidence=moved.evidence)


def stored_at(bucket: Any, model: str, version: int) -> datetime | None:  # noqa: ANN401
    """When a version's `release.json` was stored, by the bucket's own clock; None if it was not."""
    try:
        return bucket.Object(evidence.record(model, version)).last_modified
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise DependencyDown(f"the bucket does not answer: {error}") from error
    except BotoCoreError as error:
        raise DependencyDown(f"the bucket does not answer: {error}") from error
