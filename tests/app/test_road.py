"""The road end to end: snapshot, run, version, files, prediction; and where it must stop."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA, Trained
from typer import Typer
from typer.testing import CliRunner

from app import console, fetch, predict, register, snapshots, train, weights
from app.serving import model as served

NAME = MODEL.name


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of one SQLite store for the module: making its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    client.create_experiment(NAME, artifact_location=f"file://{folder}/artifacts")
    return uri


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    mlflow.set_tracking_uri(store)
    return mlflow.MlflowClient()


def _command(function: Any, *arguments: str) -> tuple[int, dict[str, Any] | str]:  # noqa: ANN401
    app = Typer()
    app.command()(function)
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    return answer.exit_code, json.loads(answer.stdout) if not answer.exit_code else answer.output


@pytest.fixture
def run(
    bucket: snapshots.Bucket,
    client: mlflow.MlflowClient,
    committed: str,
    loans: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """A run trained by the command itself on the repository's loans."""
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    manifest, _ = snapshots.write(bucket, MODEL.dataset, loans, MODEL.dataset.last_day)
    reference = tmp_path / "snapshot.json"
    reference.write_text(json.dumps(manifest))
    code, document = _command(train.main, "--model", NAME, "--snapshot", str(reference))
    assert code == 0, document
    assert isinstance(document, dict)
    assert client.get_run(document["run"]).data.tags["ferry.commit"] == committed
    return document["run"]


def test_a_run_becomes_a_version_that_predicts(
    run: str, client: mlflow.MlflowClient, tmp_path: Path, loans: pd.DataFrame
) -> None:
    found = client.get_run(run)
    assert found.data.metrics["auc"] > found.data.metrics["auc_low"]
    assert found.inputs is not None
    assert found.inputs.dataset_inputs[0].dataset.name == "data/lending-club/2016-03-31.parquet"

    code, version = _command(register.main, "--model", NAME, "--run", run)
    assert code == 0, version
    assert isinstance(version, dict)
    assert version["new"]
    assert version["data"]["key"] == "data/lending-club/2016-03-31.parquet"
    stored = client.get_model_version(NAME, version["version"])
    assert set(register.TAGS) <= stored.tags.keys()
    assert client.get_model_version_by_alias(NAME, "candidate").version == stored.version

    code, again = _command(register.main, "--model", NAME, "--run", run)
    assert code == 0, again
    assert again == {**version, "new": False}

    folder = tmp_path / "model"
    number = str(version["version"])
    code, files = _command(fetch.main, "--model", NAME, "--version", number, "--to", str(folder))
    assert code == 0, files
    assert weights.digest(folder) == version["weights"]

    code, scored = _command(predict.main, str(MODEL.dataset.sample_file), "--folder", str(folder))
    assert code == 0, scored
    assert isinstance(scored, dict)
    matrix = SCHEMA.from_columns(MODEL.dataset.columns(loans))
    expected = served.load(folder, version["weights"]).score(matrix)
    assert scored["probabilities"] == pytest.approx(expected.tolist())

    # An MLflow client gets the same answer from the registered model.
    table = pd.DataFrame(matrix.astype(float), columns=pd.Index(SCHEMA.names))
    answer = mlflow.pyfunc.load_model(f"models:/{NAME}/{number}").predict(table)
    assert isinstance(answer, pd.DataFrame)
    assert answer["probability"].tolist() == pytest.approx(expected.tolist())


def test_an_older_run_does_not_take_the_alias_back(run: str, client: mlflow.MlflowClient) -> None:
    first = register.register(client, replace(MODEL, name="aliased"), run)
    outputs = client.get_run(run).outputs
    assert outputs is not None
    newer = client.create_model_version("aliased", f"models:/{outputs.model_outputs[0].model_id}")
    client.set_registered_model_alias("aliased", "candidate", newer.version)
    again = register.register(client, replace(MODEL, name="aliased"), run)
    assert again["version"] == first["version"]
    assert client.get_model_version_by_alias("aliased", "candidate").version == newer.version


def test_changed_artifacts_are_not_registered(run: str, client: mlflow.MlflowClient) -> None:
    uri = client.get_run(run).info.artifact_uri
    assert uri is not None
    root = Path(uri.removeprefix("file://"))
    path = root / "model" / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(console.Refused, match=f"run {run} holds weights"):
        register.register(client, replace(MODEL, name="tampered"), run)
    assert client.search_registered_models("name = 'tampered'") == []


def test_weights_of_another_schema_than_the_runs_tag_are_not_registered(
    run: str, client: mlflow.MlflowClient
) -> None:
    fewer = replace(SCHEMA, features=SCHEMA.features[:-1])
    client.set_tag(run, "ferry.features", fewer.hash())
    with pytest.raises(console.Refused, match=f"this code has {SCHEMA.hash()}"):
        register.register(client, replace(MODEL, name="untrained"), run)
    other = replace(MODEL, name="untrained", dataset=replace(MODEL.dataset, schema=fewer))
    with pytest.raises(console.Refused, match=f"holds weights of features {SCHEMA.hash()}"):
        register.register(client, other, run)
    assert client.search_registered_models("name = 'untrained'") == []


def test_a_logged_model_of_another_graph_is_not_registered(
    run: str, client: mlflow.MlflowClient
) -> None:
    outputs = client.get_run(run).outputs
    assert outputs is not None
    logged = client.get_logged_model(outputs.model_outputs[0].model_id)
    path = Path(logged.artifact_location.removeprefix("file://")) / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(console.Refused, match="another graph"):
        register.register(client, replace(MODEL, name="swapped"), run)
    assert client.search_registered_models("name = 'swapped'") == []


def test_without_options_the_newest_snapshot_and_run_are_taken(
    run: str, client: mlflow.MlflowClient
) -> None:
    code, newest = _command(train.main, "--model", NAME)
    assert code == 0, newest
    assert isinstance(newest, dict)
    assert newest["weights"] == client.get_run(run).data.tags["ferry.weights"]
    code, version = _command(register.main, "--model", NAME)
    assert code == 0, version
    assert isinstance(version, dict)
    assert version["run"] == newest["run"] != run


def test_training_without_a_snapshot_says_what_to_do(
    bucket: snapshots.Bucket, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    code, output = _command(train.main, "--model", NAME)
    assert code == 3
    assert "app.ingest" in output


def test_an_unfinished_run_is_not_registered(client: mlflow.MlflowClient) -> None:
    mlflow.set_experiment(NAME)
    with mlflow.start_run() as active, pytest.raises(console.Refused, match="RUNNING"):
        register.register(client, replace(MODEL, name="unfinished"), active.info.run_id)


def test_a_run_without_a_model_is_not_registered(client: mlflow.MlflowClient) -> None:
    mlflow.set_experiment(NAME)
    with mlflow.start_run() as active:
        pass
    with pytest.raises(console.Refused, match=r"no ferry\.commit"):
        register.register(client, replace(MODEL, name="empty"), active.info.run_id)


def test_a_run_that_is_not_there_is_not_registered(client: mlflow.MlflowClient) -> None:
    code, output = _command(register.main, "--model", NAME, "--run", "0" * 32)
    assert code == 3
    assert "0" * 32 in output


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(console.Refused, match="not empty"):
        fetch.fetch("none", "sha256:0", tmp_path)


def test_training_needs_a_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    code, output = _command(train.main, "--model", NAME, "--snapshot", str(tmp_path / "none"))
    assert code == 3
    assert "commit is unknown" in output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("loans.csv", "term\nterm_36\n", "row 0, funded_amnt: missing"),
        ("loans.json", '[{"term": "term_36"}]', "row 0, funded_amnt: missing"),
        ("loans.json", "[1]", "cannot be read as rows"),
        ("loans.json", "{", "cannot be read as rows"),
    ],
)
def test_predict_names_what_is_wrong(
    trained: Trained,
    tmp_path: Path,
    name: str,
    content: str,
    message: str,
) -> None:
    (tmp_path / name).write_text(content)
    code, output = _command(predict.main, str(tmp_path / name), "--folder", str(trained.folder))
    assert code == 3
    assert message in output


def test_predict_refuses_other_weights(trained: Trained, tmp_path: Path) -> None:
    arguments = (
        str(MODEL.dataset.sample_file),
        "--folder",
        str(trained.folder),
        "--weights",
        "sha256:1",
    )
    code, output = _command(predict.main, *arguments)
    assert code == 3
    assert "sha256:1" in output
