"""Snapshots in the versioned bucket: written once by content, read back by exact version."""

import hashlib
import io
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from app import console, verdict
from app.bucket import UNAVAILABLE, Bucket
from app.dataset import Dataset, content_digest
from app.definition import Definition

__all__ = [
    "UNAVAILABLE",
    "Bucket",
    "File",
    "Snapshot",
    "chosen",
    "content_of",
    "days",
    "latest",
    "of_day",
    "read",
    "write",
]

File = Annotated[
    Path | None, typer.Option(help="File with the snapshot's reference; else the newest day's.")
]
"""The option by which a command is told which snapshot."""

_PARQUET = "application/vnd.apache.parquet"
_DAY = len("2016-03-31")


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

    @property
    def day(self) -> str:
        """The day up to which rows are in it, as ISO 8601."""
        return self.key.rpartition("/")[2][:_DAY]


def write(
    bucket: Bucket, dataset: Dataset, table: pd.DataFrame, day: date
) -> tuple[dict[str, Any], bool]:
    """Store the table as the snapshot of `day`; give its manifest and whether it is new.

    A day whose content is unchanged writes nothing. A late day gets the parent that it would have
    had in its turn; the days after it keep theirs, for what was trained on them names them as they
    are. A day that comes again with other content gets an object of its own, and its manifest
    names the one that it replaces. The manifest is written last, so an interrupted run leaves at
    most one unreferenced object behind, which the next run takes up.
    """
    manifest_key = _manifest_key(dataset, day.isoformat())
    content = content_digest(table)
    before = _manifest(bucket, manifest_key)
    if before and before["contentSha256"] == content:
        return before, False
    snapshot, size = _store(bucket, dataset, table, day, content)
    parent = _parent(bucket, dataset, day)
    manifest = {
        "dataset": dataset.name,
        "day": day.isoformat(),
        **snapshot.reference,
        "bytes": size,
        "rows": len(table),
        "added": len(table) - (parent["rows"] if parent else 0),
        "contentSha256": content,
        "schema": {name: str(kind) for name, kind in table.dtypes.items()},
        "parent": Snapshot.parse(parent).reference if parent else None,
        "replaces": Snapshot.parse(before).reference if before else None,
    }
    bucket.put_json(manifest_key, manifest)
    return manifest, True


def read(bucket: Bucket, snapshot: Snapshot) -> pd.DataFrame:
    """The table of exactly this snapshot.

    Raises `console.Refused` when that version is gone or its bytes are not the stated ones.
    """
    return _table(content_of(bucket, snapshot))


def content_of(bucket: Bucket, snapshot: Snapshot) -> bytes:
    """The Parquet file of exactly this snapshot; as `read` otherwise."""
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
    return data


def days(bucket: Bucket, dataset: Dataset) -> list[str]:
    """The days that have a snapshot, oldest first."""
    prefix, suffix = _manifest_key(dataset, "|").split("|")
    return [key.removeprefix(prefix).removesuffix(suffix) for key in bucket.keys(prefix)]


def of_day(bucket: Bucket, dataset: Dataset, day: str) -> Snapshot:
    """The snapshot of that day as it is now, validated or not."""
    manifest = _manifest(bucket, _manifest_key(dataset, day))
    if manifest is None:
        raise console.Refused(
            f"bucket {bucket.name} has no snapshot of {dataset.name} of {day}; run "
            f"`python -m app.ingest --day {day}`"
        )
    return Snapshot.parse(manifest)


def latest(bucket: Bucket, dataset: Dataset, reference: Path | None = None) -> Snapshot:
    """The snapshot of a reference file, or of the bucket's newest day; validated or not.

    Raises `console.Refused` when the file holds no reference, or the bucket no snapshot.
    """
    if reference is not None:
        return Snapshot.from_file(reference)
    return of_day(bucket, dataset, _known_days(bucket, dataset)[-1])


def chosen(bucket: Bucket, model: Definition, reference: Path | None) -> Snapshot:
    """As `latest`, but only a snapshot that passed validation.

    A newest day that failed is passed over, with a note, for the one before it; one that was not
    validated yet is refused, lest an older one be taken unnoticed. Raises `console.Refused`.
    """
    if reference is not None:
        snapshot = Snapshot.from_file(reference)
        said = _verdict(bucket, snapshot)
        if said is None or not said.success:
            raise console.Refused(_refusal(model, snapshot, said))
        return snapshot
    refusal = ""
    for day in reversed(_known_days(bucket, model.dataset)):
        snapshot = of_day(bucket, model.dataset, day)
        said = _verdict(bucket, snapshot)
        if said is not None and said.success:
            return snapshot
        refusal = refusal or _refusal(model, snapshot, said)
        if said is None:
            break
        console.progress.print(f"note: {day} is passed over: it did not pass validation")
    raise console.Refused(refusal)


def _known_days(bucket: Bucket, dataset: Dataset) -> list[str]:
    found = days(bucket, dataset)
    if not found:
        raise console.Refused(
            f"bucket {bucket.name} has no snapshot of {dataset.name}; run `python -m app.ingest`"
        )
    return found


def _verdict(bucket: Bucket, snapshot: Snapshot) -> verdict.Verdict | None:
    return verdict.parse(bucket.get(verdict.key(snapshot.key, snapshot.sha256)))


def _refusal(model: Definition, snapshot: Snapshot, said: verdict.Verdict | None) -> str:
    return verdict.refusal(model.dataset.name, snapshot.day, said, model.name)


def _store(
    bucket: Bucket, dataset: Dataset, table: pd.DataFrame, day: date, content: str
) -> tuple[Snapshot, int]:
    """The object with this content and its size, made unless an earlier run left it."""
    data, name = _parquet(table), f"data/{dataset.name}/{day.isoformat()}"
    # A locked key takes no other content in every store, so a changed day needs another key.
    for key in (f"{name}.parquet", f"{name}-{content[:12]}.parquet"):
        version, found = bucket.create(key, data, _PARQUET)
        if found == data or _holds(found, content):
            sha256 = hashlib.sha256(found).hexdigest()
            return Snapshot(key=key, version_id=version, sha256=sha256), len(found)
    raise console.Refused(f"s3://{bucket.name}/{key} holds other rows than its name says")


def _holds(data: bytes, content: str) -> bool:
    try:
        return content_digest(_table(data)) == content
    except pa.ArrowException:
        return False


def _manifest_key(dataset: Dataset, day: str) -> str:
    return f"manifests/{dataset.name}/{day}.json"


def _manifest(bucket: Bucket, key: str) -> dict[str, Any] | None:
    content = bucket.get(key)
    return json.loads(content) if content else None


def _parent(bucket: Bucket, dataset: Dataset, day: date) -> dict[str, Any] | None:
    """The manifest of the newest earlier day."""
    earlier = [found for found in days(bucket, dataset) if found < day.isoformat()]
    return _manifest(bucket, _manifest_key(dataset, earlier[-1])) if earlier else None


def _table(data: bytes) -> pd.DataFrame:
    return pq.read_table(io.BytesIO(data)).to_pandas()


def _parquet(table: pd.DataFrame) -> bytes:
    # Without pandas' own metadata the bytes depend on the rows and the Parquet writer alone.
    plain = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    out = io.BytesIO()
    pq.write_table(plain, out, compression="zstd")
    return out.getvalue()
