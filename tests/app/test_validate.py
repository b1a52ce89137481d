"""A snapshot is validated once, and chosen for training when it passed."""

import json

import pandas as pd
import pytest
from conftest import MODEL
from typer.testing import CliRunner
from validate_harness import DATASET, DAY, ENVIRONMENT, run, versions

from app import console, snapshots, suites, validate, verdict

pytestmark = pytest.mark.usefixtures("without_pages")


def test_a_good_snapshot_is_validated_and_chosen(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    manifest, _ = snapshots.write(bucket, DATASET, loans, DAY)
    with pytest.raises(console.Refused, match="was not validated"):
        snapshots.chosen(bucket, MODEL, None)
    answer = run()
    assert answer.exit_code == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert (said["success"], said["rows"], said["failures"]) == (True, 400, [])
    assert snapshots.chosen(bucket, MODEL, None).sha256 == manifest["sha256"]


def test_validating_again_writes_nothing(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    first, before = run(), versions()
    second = run()
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    assert versions() == before


def test_a_failed_snapshot_fails_again_without_another_look(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    snapshots.write(bucket, DATASET, loans.assign(int_rate=0.1), DAY)
    first, before = run(), versions()
    second = run()
    assert (second.exit_code, second.stdout) == (3, first.stdout)
    assert versions() == before


def test_another_suite_validates_anew(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    run()
    monkeypatch.setattr(suites, "digest", lambda dataset: "sha256:other")
    answer = run()
    assert json.loads(answer.stdout)["suite"] == "sha256:other"
    assert "validating" in answer.stderr


def test_an_interrupted_validation_leaves_no_verdict(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = snapshots.Snapshot.parse(snapshots.write(bucket, DATASET, loans, DAY)[0])

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(validate, "_publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        validate.validate(bucket, DATASET, snapshot)
    assert bucket.get(verdict.key(snapshot.key, snapshot.sha256)) is None


def test_without_a_snapshot_it_says_what_to_run(bucket: snapshots.Bucket) -> None:
    answer = run()
    assert answer.exit_code == 3
    assert "python -m app.ingest" in answer.stderr


def test_without_a_model_it_is_a_wrong_usage() -> None:
    assert CliRunner().invoke(validate.app, []).exit_code == 2


def test_a_store_that_is_down_is_said_to_be(
    bucket: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise snapshots.UNAVAILABLE[0]

    monkeypatch.setattr(snapshots, "latest", down)
    assert run().exit_code == 5


def test_a_suite_is_run_by_either_command(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    snapshots.write(bucket, DATASET, loans, DAY)
    first = run()
    again = CliRunner().invoke(
        validate.app, ["suites", "run", "--model", MODEL.name, "--json"], env=ENVIRONMENT
    )
    assert (again.exit_code, again.stdout) == (0, first.stdout)
