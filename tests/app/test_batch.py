"""A batch scores a snapshot as the server would, whole or not at all, and once."""

import io
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import boto3
import mlflow
import pandas as pd
import pyarrow.parquet as pq
import pytest
import typer
from conftest import MODEL, Trained
from typer.testing import CliRunner

from app import batch, console, snapshots, verdict
from app.serving import model as served

pytestmark = pytest.mark.slow

DATASET = MODEL.dataset


@pytest.fixture(scope="module")
def run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A run that holds the model's files and nothing else."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patched:
        uri = f"sqlite:///{folder}/mlflow.db"
        patched.setenv("MLFLOW_TRACKING_URI", uri)
        patched.delenv("MLFLOW_RUN_ID", raising=False)
        mlflow.set_tracking_uri(uri)
        client = mlflow.MlflowClient()
        experiment = client.create_experiment("batch", artifact_location=f"file://{folder}/files")
        found = client.create_run(experiment).info.run_id
        client.log_artifacts(found, str(trained.folder), "model")
        yield found


@pytest.fixture
def snapshot(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> snapshots.Snapshot:
    """A snapshot that passed validation."""
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    return validated(bucket, loans)


def validated(bucket: snapshots.Bucket, table: pd.DataFrame) -> snapshots.Snapshot:
    manifest, _ = snapshots.write(bucket, DATASET, table, DATASET.last_day)
    found = snapshots.Snapshot.parse(manifest)
    said = {"success": True, "sha256": found.sha256, "suite": "", "failures": []}
    key = verdict.key(found.key, found.sha256)
    bucket.put(key, json.dumps(said).encode(), "application/json")
    return found


def command(*arguments: str) -> tuple[int, Any]:
    app = typer.Typer()
    app.command()(batch.main)
    answer = CliRunner().invoke(app, ["--model", MODEL.name, "--json", *arguments])
    return answer.exit_code, json.loads(answer.stdout) if answer.stdout else answer.stderr


def versions() -> list[str]:
    answer = boto3.client("s3").list_object_versions(Bucket="loans", Prefix="reports/")
    return [version["Key"] for version in answer.get("Versions", [])]


def test_every_row_gets_the_servers_score_and_the_file_says_where_from(
    bucket: snapshots.Bucket,
    snapshot: snapshots.Snapshot,
    loans: pd.DataFrame,
    loaded: served.Model,
    trained: Trained,
    run: str,
) -> None:
    code, document = command("--run", run, "--weights", trained.weights)
    assert code == 0
    key = f"reports/batch/credit-default/{run}/2016-03-31.parquet"
    content = bucket.get(key)
    assert content is not None
    table = pq.read_table(io.BytesIO(content))
    rows = loans[list(loaded.schema.names)].to_dict("records")
    wanted = loaded.score(loaded.schema.from_rows(rows)).tolist()
    assert table["probability"].to_pylist() == wanted
    assert table[DATASET.key].to_pylist() == loans[DATASET.key].tolist()
    metadata = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    facts = {"model": MODEL.name, "run": run, "weights": trained.weights}
    assert metadata == {**facts, **snapshot.reference}
    threshold = loaded.info.threshold
    assert document == {
        "key": key,
        "data": snapshot.reference,
        "rows": 400,
        "positive": sum(score >= threshold for score in wanted),
        "mean": round(sum(wanted) / 400, 6),
        "new": True,
    }


def test_the_same_batch_again_makes_no_new_version(
    snapshot: snapshots.Snapshot, trained: Trained, run: str
) -> None:
    arguments = ("--run", run, "--weights", trained.weights)
    assert command(*arguments)[1]["new"] is True
    assert command(*arguments)[1]["new"] is False
    assert len(versions()) == 1


def test_other_rows_of_the_day_are_another_version_of_the_same_file(
    bucket: snapshots.Bucket,
    snapshot: snapshots.Snapshot,
    loans: pd.DataFrame,
    trained: Trained,
    run: str,
) -> None:
    arguments = ("--run", run, "--weights", trained.weights)
    command(*arguments)
    validated(bucket, loans.head(300))
    code, document = command(*arguments)
    assert (code, document["rows"], document["new"]) == (0, 300, True)
    assert len(set(versions())) == 1
    assert len(versions()) == 2


def test_equal_scores_of_another_snapshot_are_told_apart(
    bucket: snapshots.Bucket, loans: pd.DataFrame, loaded: served.Model
) -> None:
    scored = batch.score(MODEL, loaded, loans)
    told = [batch.publish(bucket, "reports/x", scored, {"versionId": id_}) for id_ in "aabb"]
    assert told == [True, False, True, False]


def test_a_file_that_is_no_parquet_is_written_anew(
    bucket: snapshots.Bucket, snapshot: snapshots.Snapshot, trained: Trained, run: str
) -> None:
    key = f"reports/batch/credit-default/{run}/2016-03-31.parquet"
    bucket.put(key, b"half a fi", "text/plain")
    assert command("--run", run, "--weights", trained.weights)[1]["new"] is True


def test_a_table_is_scored_alike_in_parts_and_whole(
    loans: pd.DataFrame, loaded: served.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = batch.score(MODEL, loaded, loans)
    monkeypatch.setattr(batch, "_ROWS", 150)
    pd.testing.assert_frame_equal(batch.score(MODEL, loaded, loans), whole)


def test_a_row_that_a_server_would_refuse_stops_all_and_is_named(
    bucket: snapshots.Bucket,
    snapshot: snapshots.Snapshot,
    loans: pd.DataFrame,
    trained: Trained,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "_ROWS", 150)
    wrong = loans.copy()
    wrong.loc[333, "int_rate"] = 101.0
    validated(bucket, wrong)
    code, said = command("--run", run, "--weights", trained.weights)
    assert code == 3
    assert f"loan_id {loans[DATASET.key][333]}, int_rate: range" in said
    assert versions() == []


def test_a_column_that_is_gone_is_named(loans: pd.DataFrame, loaded: served.Model) -> None:
    with pytest.raises(console.Refused, match="int_rate: missing"):
        batch.score(MODEL, loaded, loans.drop(columns="int_rate"))


def test_other_weights_than_pinned_are_refused(snapshot: snapshots.Snapshot, run: str) -> None:
    code, said = command("--run", run, "--weights", "sha256:" + "0" * 64)
    assert code == 3
    assert "sha256:" in said
    assert versions() == []


def test_another_models_run_is_refused(
    snapshot: snapshots.Snapshot, trained: Trained, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.Info, "name", property(lambda self: "another"))
    code, said = command("--run", run, "--weights", trained.weights)
    assert code == 3
    assert "holds another, wanted is credit-default" in said


def test_a_snapshot_that_was_not_validated_is_not_scored(
    bucket: snapshots.Bucket,
    loans: pd.DataFrame,
    trained: Trained,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    manifest, _ = snapshots.write(bucket, DATASET, loans, DATASET.last_day)
    reference = tmp_path / "snapshot.json"
    reference.write_text(json.dumps(manifest))
    for more in ((), ("--snapshot", str(reference))):
        code, said = command("--run", run, "--weights", trained.weights, *more)
        assert code == 3
        assert "was not validated" in said


def test_nothing_is_left_behind_on_the_disk(
    snapshot: snapshots.Snapshot,
    trained: Trained,
    run: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert command("--run", run, "--weights", trained.weights)[0] == 0
    assert os.listdir(tmp_path) == []
