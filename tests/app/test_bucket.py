"""What is created under lock is written once, and nobody deletes it before its time."""

from datetime import UTC, datetime, timedelta

import boto3
import botocore.exceptions
import pandas as pd
import pytest
from conftest import MODEL
from snapshot_harness import data_versions

from app import console, snapshots

DAY = MODEL.dataset.last_day


def test_two_that_create_the_same_object_at_once_get_the_same_version(
    locked: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = locked.create("key", b"ours", "text/plain")
    look, looks = locked._get, iter([None])
    # Not there when looked for, there when written.
    monkeypatch.setattr(locked, "_get", lambda key: next(looks, look(key)))
    assert locked.create("key", b"theirs", "text/plain") == first
    assert first[1] == b"ours"


def test_a_snapshot_is_locked_for_the_days_that_are_asked_for(
    locked: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    manifest, _ = snapshots.write(locked, MODEL.dataset, loans, DAY)
    client = boto3.client("s3")
    version = {"Key": manifest["key"], "VersionId": manifest["versionId"]}
    found = client.head_object(Bucket="locked", **version)
    assert found["ObjectLockMode"] == "GOVERNANCE"
    left = found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        client.delete_object(Bucket="locked", **version)


def test_an_object_that_an_earlier_run_left_unlocked_is_locked_when_taken_up(
    locked: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.delenv("FERRY_LOCK_DAYS")
        snapshots.write(locked, MODEL.dataset, loans, DAY)
        snapshots.write(locked, MODEL.dataset, loans.head(1), DAY)
    manifest, _ = snapshots.write(locked, MODEL.dataset, loans, DAY)
    found = boto3.client("s3").head_object(Bucket="locked", Key=manifest["key"])
    assert found["ObjectLockMode"] == "GOVERNANCE"


def test_a_lock_in_a_bucket_that_can_have_none_is_refused_before_anything_is_written(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_LOCK_DAYS", "1")
    for _ in range(2):
        with pytest.raises(console.Refused, match="made without object lock"):
            snapshots.write(bucket, MODEL.dataset, loans, DAY)
    assert data_versions(bucket.name) == []


@pytest.mark.parametrize("days", ["0", "-1", "soon", "1.5", "99999"])
def test_a_lock_of_no_sensible_length_is_refused(
    locked: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch, days: str
) -> None:
    monkeypatch.setenv("FERRY_LOCK_DAYS", days)
    with pytest.raises(console.Refused, match="FERRY_LOCK_DAYS is"):
        locked.create("key", b"1", "text/plain")


def test_without_any_lock_it_is_said_once_that_snapshots_can_be_deleted(
    bucket: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FERRY_LOCK_DAYS", raising=False)
    for key in ("one", "two"):
        bucket.create(key, b"1", "text/plain")
    assert " ".join(capsys.readouterr().err.split()).count("snapshots can be deleted") == 1


def test_the_lock_of_the_whole_bucket_needs_no_other(
    locked: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FERRY_LOCK_DAYS")
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 7}}
    boto3.client("s3").put_object_lock_configuration(
        Bucket="locked",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    locked.create("key", b"1", "text/plain")
    assert capsys.readouterr().err == ""


def test_a_bucket_without_versions_is_refused(bucket: snapshots.Bucket) -> None:
    boto3.client("s3").create_bucket(Bucket="plain")
    with pytest.raises(console.Refused, match="keeps no versions"):
        snapshots.Bucket("plain").put("key", b"1", "text/plain")


def test_a_bucket_needs_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FERRY_BUCKET", raising=False)
    with pytest.raises(console.Refused, match="FERRY_BUCKET"):
        snapshots.Bucket()
