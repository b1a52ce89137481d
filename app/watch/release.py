"""What a release says of itself, as its evidence stands in the bucket."""

from dataclasses import dataclass

import msgspec
from obstore.store import ObjectStore

from app.watch import objects


class _Output(msgspec.Struct):
    threshold: float


class _Feature(msgspec.Struct):
    name: str


class _Schema(msgspec.Struct):
    features: list[_Feature]


class _Contract(msgspec.Struct):
    model: str
    schema: _Schema
    output: _Output


@dataclass(frozen=True, kw_only=True)
class Release:
    """What the watch must know of a version."""

    threshold: float
    """Probability from which a row is called positive."""
    names: tuple[str, ...]
    """The model's features in order."""


def release(bucket: ObjectStore, model: str, version: int) -> Release:
    """Read the version's contract.

    Raises FileNotFoundError when it has no evidence, ValueError when that is another model's, and
    `objects.BaseError`.
    """
    content = objects.get(bucket, f"evidence/{model}/{version}/contract.json")
    found = msgspec.json.decode(content, type=_Contract)
    if found.model != model:
        raise ValueError(f"the evidence of {model} {version} is of {found.model}")
    names = tuple(feature.name for feature in found.schema.features)
    return Release(threshold=found.output.threshold, names=names)


def reference(bucket: ObjectStore, model: str, version: int) -> bytes:
    """The reference statistics of the rows that the version was trained on; as `release`."""
    return objects.get(bucket, f"evidence/{model}/{version}/reference.json")
