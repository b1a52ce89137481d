"""The commands take in a day or many, go on where they were stopped, and read back any day."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
import typer
from conftest import MODEL
from typer.testing import CliRunner

from app import console, history, ingest, snapshots

DAY = MODEL.dataset.last_day


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


def test_the_same_day_again_writes_nothing(bucket: snapshots.Bucket) -> None:
    first = ingest.ingest(bucket, MODEL.dataset, DAY, sample=True)
    second = ingest.ingest(bucket, MODEL.dataset, DAY, sample=True)
    assert (first.pop("new"), second.pop("new")) == (True, False)
    assert first == second
    versions = boto3.client("s3").list_object_versions(Bucket="loans")["Versions"]
    assert len(versions) == 2


def test_a_day_before_the_first_loan_is_refused(bucket: snapshots.Bucket) -> None:
    with pytest.raises(console.Refused, match="no row of lending-club had arrived"):
        ingest.ingest(bucket, MODEL.dataset, date(2015, 12, 31), sample=True)
