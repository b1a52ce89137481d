"""A snapshot is written once and read back exactly, and training gets one that passed."""

import json
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from conftest import MODEL
from snapshot_harness import data_versions, validated

from app import console, ingest, snapshots

DAY = MODEL.dataset.last_day
EARLIER = date(2016, 2, 1)


def test_a_snapshot_is_read_back_exactly(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    manifest, new = snapshots.write(bucket, MODEL.dataset, loans, DAY)
    assert new
    snapshot = snapshots.Snapshot.parse(manifest)
    assert snapshot.key == "data/lending-club/2016-03-31.parquet"
    pd.testing.assert_frame_equal(snapshots.read(bucket, snapshot), loans)


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
