"""Evidence in the bucket: written once, read back by digest."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from promotion.refusals import Conflict, DependencyDown, GateRefused

RECORD = "release.json"
"""The file that lists the digests of all others."""

SIGNATURE = frozenset({"signature.json", "signer.pem"})
"""What the weights are verified by: the signature's bundle, and the signer's public key."""

REQUIRED = SIGNATURE | frozenset(
    {
        "metrics.json",
        "fairness.json",
        "privacy.json",
        "card.md",
        "card.html",
        "contract.json",
        "reference.json",
    }
)
"""What a version cannot be released without."""


def prefix(model: str, version: int) -> str:
    """Where a version's evidence stands in the bucket."""
    return f"evidence/{model}/{version}/"


def record(model: str, version: int) -> str:
    """The key of a version's `release.json`."""
    return prefix(model, version) + RECORD


def write(
    bucket: Any,  # noqa: ANN401 - boto3 resource
    folder: str,
    files: Mapping[str, bytes],
    *,
    lock_days: int,
) -> None:
    """Store every file below `folder`, `release.json` last: once it is there, all are.

    Each is locked for `lock_days`, whatever the bucket's own default is.
    The same bytes again are no change; other bytes under a name that is taken raise `Conflict`.
    """
    for name in sorted(files, key=lambda name: (name == RECORD, name)):
        present = read(bucket, folder + name)
        if present is None:
            create(bucket, folder + name, files[name], lock_days=lock_days)
        elif present != files[name]:
            raise Conflict(
                f"{folder}{name} already holds other bytes; evidence is written once: "
                "register a new version instead"
            )


def create(bucket: Any, key: str, content: bytes, *, lock_days: int) -> None:  # noqa: ANN401
    """Store an object that is not there yet, locked; raises `DependencyDown` where it can't be."""
    try:
        bucket.put_object(
            Key=key,
            Body=content,
            IfNoneMatch="*",
            ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days=lock_days),
        )
    except (BotoCoreError, ClientError) as error:
        raise DependencyDown(f"the bucket takes no {key}: {error}") from error


def read(bucket: Any, key: str) -> bytes | None:  # noqa: ANN401 - boto3 resource
    """The object's bytes, or None when there is none."""
    try:
        return bucket.Object(key).get()["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise DependencyDown(f"the bucket does not give {key}: {error}") from error
    except BotoCoreError as error:
        raise DependencyDown(f"the bucket does not answer: {error}") from error


def listed(bucket: Any, prefix: str) -> list[tuple[str, int]]:  # noqa: ANN401 - boto3 resource
    """The key and the size in bytes of all that is below `prefix`; no content is read."""
    try:
        return [(found.key, found.size) for found in bucket.objects.filter(Prefix=prefix)]
    except (BotoCoreError, ClientError) as error:
        raise DependencyDown(f"the bucket does not list {prefix}: {error}") from error


def require(bucket: Any, key: str) -> bytes:  # noqa: ANN401 - boto3 resource
    """The object's bytes; a missing one is a refusal, since something pins it."""
    content = read(bucket, key)
    if content is None:
        raise GateRefused(f"{key} is not in the bucket; run `ferry release build` first")
    return content
