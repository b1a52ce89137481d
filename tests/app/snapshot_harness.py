"""What tests say of snapshots and ask of the bucket, past the code that is tested."""

from typing import Any

import boto3

from app import snapshots, verdict


def validated(bucket: snapshots.Bucket, document: dict[str, Any], success: bool = True) -> None:
    """Say of a snapshot what validation would."""
    snapshot = snapshots.Snapshot.parse(document)
    said = {"success": success, "sha256": snapshot.sha256, "suite": "", "failures": []}
    bucket.put_json(verdict.key(snapshot.key, snapshot.sha256), said)


def data_versions(name: str) -> list[str]:
    """The key of each version of the bucket's data."""
    answer = boto3.client("s3").list_object_versions(Bucket=name, Prefix="data/")
    return sorted(version["Key"] for version in answer.get("Versions", []))
