"""Verdict: what validation said of a snapshot, where it stands, and how a refusal reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DAY = len("2016-03-31")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One snapshot's validation, as it stands in the bucket."""

    success: bool
    document: Mapping[str, Any]

    @property
    def failures(self) -> list[dict[str, Any]]:
        return list(self.document.get("failures", []))


def key(snapshot_key: str, sha256: str) -> str:
    """Where the verdict on `data/<dataset>/<day>….parquet` with these bytes stands."""
    _, dataset, name = snapshot_key.split("/")
    return f"validations/{dataset}/{name[:_DAY]}/{sha256}.json"


def parse(content: bytes | None) -> Verdict | None:
    """Read the object at `key`; None when there is none, so the snapshot was never validated."""
    if content is None:
        return None
    document = json.loads(content)
    # Anything but a plain true is no success.
    return Verdict(success=document["success"] is True, document=document)


def refusal(dataset: str, day: str, found: Verdict | None, model: str) -> str:
    """Why a snapshot without a successful verdict is not taken, and what to do."""
    command = f"`python -m app.validate --model {model}`"
    if found is None:
        return f"the snapshot of {dataset} of {day} was not validated; run {command}"
    checks = ", ".join(
        f"{failure['expectation']} of {failure['column'] or 'the table'}"
        for failure in found.failures[:3]
    )
    return (
        f"the snapshot of {dataset} of {day} did not pass validation ({checks}); its reasons stand "
        f"in quarantine/{dataset}/{day}/; correct the data, ingest the day again and run {command}"
    )
