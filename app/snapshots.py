"""Snapshots in the versioned bucket: written once by content, read back by exact version."""

import hashlib
import io
import json
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.config
import botocore.exceptions
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from app import console
from app.dataset import Dataset, content_digest

UNAVAILABLE = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)
"""What boto3 raises when the store cannot be reached or says no."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One exact version of one object: where it is and what its bytes must be."""

    key: str
    version_id: str
    sha256: str

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        """Read `{key, versionId, sha256}`; other fields, such as a manifest's, are ignored."""
        try:
            return cls(
                key=document["key"], version_id=document["versionId"], sha256=document["sha256"]
            )
        except (KeyError, TypeError) as error:
            raise console.Refused(
                f"a snapshot reference needs key, versionId and sha256 ({error} is missing); "
                "`python -m app.ingest --json` prints one"
            ) from error

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the reference that `python -m app.ingest --json` printed into a file."""
        try:
            return cls.parse(json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise console.Refused(f"{path}: no snapshot reference: {error}") from error

    @property
    def reference(self) -> dict[str, str]:
        return {"key": self.key, "versionId": self.version_id, "sha256": self.sha256}


class Bucket:
    """The stack's bucket. Name and endpoint come from FERRY_BUCKET and AWS_ENDPOINT_URL_S3."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or os.environ.get("FERRY_BUCKET", "")
        if not self.name:
            raise console.Refused("FERRY_BUCKET is not set; run this through `ferry exec`")
        retries = botocore.config.Config(retries={"total_max_attempts": 5, "mode": "standard"})
        self._client = boto3.client("s3", config=retries)

    def put(self, key: str, content: bytes, content_type: str) -> str:
        """Write a new version of `key` and return its version id."""
        answer = self._client.put_object(
            Bucket=self.name, Key=key, Body=content, ContentType=content_type
        )
        version = answer.get("VersionId")
        if not version or version == "null":
            raise console.Refused(
                f"bucket {self.name} keeps no versions, so {key} could be overwritten; "
                "switch versioning on"
            )
        return version

    def get(self, key: str, version_id: str | None = None) -> bytes | None:
        """The bytes of `key`, or None when there is no such object or version."""
        version = {"VersionId": version_id} if version_id else {}
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key, **version)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion", "404"):
                return None
            raise
        return answer["Body"].read()

    def keys(self, prefix: str) -> list[str]:
        """Every key below `prefix`, sorted."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))


def write(
    bucket: Bucket, dataset: Dataset, table: pd.DataFrame, day: date
) -> tuple[dict[str, Any], bool]:
    """Store the table as the snapshot of `day`; give its manifest and whether it is new.

    A day whose content is unchanged writes nothing. The manifest is written last, so an
    interrupted run leaves at most one unreferenced version behind.
    """
    manifest_key = f"manifests/{dataset.name}/{day.isoformat()}.json"
    content = content_digest(table)
    before = _manifest(bucket, manifest_key)
    if before and before["contentSha256"] == content:
        return before, False
    data = _parquet(table)
    key = f"data/{dataset.name}/{day.isoformat()}.parquet"
    version = bucket.put(key, data, "application/vnd.apache.parquet")
    snapshot = Snapshot(key=key, version_id=version, sha256=hashlib.sha256(data).hexdigest())
    manifest = {
        "dataset": dataset.name,
        "day": day.isoformat(),
        **snapshot.reference,
        "bytes": len(data),
        "rows": len(table),
        "contentSha256": content,
        "schema": {name: str(kind) for name, kind in table.dtypes.items()},
        "parent": _parent(bucket, dataset, manifest_key),
        "replaces": Snapshot.parse(before).reference if before else None,
    }
    bucket.put(manifest_key, (json.dumps(manifest, indent=2) + "\n").encode(), "application/json")
    return manifest, True


def read(bucket: Bucket, snapshot: Snapshot) -> pd.DataFrame:
    """The table of exactly this snapshot.

    Raises `console.Refused` when that version is gone or its bytes are not the stated ones.
    """
    data = bucket.get(snapshot.key, snapshot.version_id)
    if data is None:
        raise console.Refused(
            f"s3://{bucket.name}/{snapshot.key} has no version {snapshot.version_id}"
        )
    found = hashlib.sha256(data).hexdigest()
    if found != snapshot.sha256:
        raise console.Refused(
            f"{snapshot.key} version {snapshot.version_id} has sha256 {found}, "
            f"wanted {snapshot.sha256}"
        )
    return pq.read_table(io.BytesIO(data)).to_pandas()


def chosen(bucket: Bucket, dataset: Dataset, reference: Path | None) -> Snapshot:
    """The snapshot of a reference file, or of the bucket's newest day.

    Raises `console.Refused` when the file holds no reference, or the bucket no snapshot.
    """
    if reference is not None:
        return Snapshot.from_file(reference)
    days = bucket.keys(f"manifests/{dataset.name}/")
    manifest = _manifest(bucket, days[-1]) if days else None
    if manifest is None:
        raise console.Refused(
            f"bucket {bucket.name} has no snapshot of {dataset.name}; run `python -m app.ingest`"
        )
    return Snapshot.parse(manifest)


def _manifest(bucket: Bucket, key: str) -> dict[str, Any] | None:
    content = bucket.get(key)
    return json.loads(content) if content else None


def _parent(bucket: Bucket, dataset: Dataset, manifest_key: str) -> dict[str, str] | None:
    """The reference of the newest earlier day: a late day gets the parent it would have had."""
    earlier = [key for key in bucket.keys(f"manifests/{dataset.name}/") if key < manifest_key]
    manifest = _manifest(bucket, earlier[-1]) if earlier else None
    return Snapshot.parse(manifest).reference if manifest else None


def _parquet(table: pd.DataFrame) -> bytes:
    # Without pandas' own metadata the bytes depend on the rows and the Parquet writer alone.
    plain = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    out = io.BytesIO()
    pq.write_table(plain, out, compression="zstd")
    return out.getvalue()
