"""What a release says of itself, as its evidence stands in the bucket."""

import json
from dataclasses import dataclass

from obstore.store import ObjectStore

from app import reference as references
from app.schema import Schema
from app.watch import objects


@dataclass(frozen=True, kw_only=True)
class Release:
    """What the watch must know of a version."""

    threshold: float
    """Probability from which a row is called positive."""
    schema: Schema


def release(bucket: ObjectStore, model: str, version: int) -> Release:
    """Read the version's contract, as `evidence.contract` gave it.

    Raises FileNotFoundError when there is none, `objects.BaseError`, and KeyError, TypeError or
    ValueError for anything else, such as another model's.
    """
    document = json.loads(objects.get(bucket, f"evidence/{model}/{version}/contract.json"))
    if document["model"] != model:
        raise ValueError(f"the evidence of {model} {version} is of {document['model']}")
    return Release(
        threshold=float(document["output"]["threshold"]), schema=Schema.parse(document["schema"])
    )


def reference(bucket: ObjectStore, model: str, version: int) -> bytes:
    """The reference statistics of the version.

    Raises FileNotFoundError when it was released without, and `objects.BaseError`.
    """
    return objects.get(bucket, f"evidence/{model}/{version}/{references.FILE}")
