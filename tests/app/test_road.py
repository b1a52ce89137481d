"""The road end to end: snapshot, run, version, files, prediction; and where it must stop."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import mlflow
import mlflow.pyfunc
import onnx
import pandas as pd
import pytest
from conftest import MODEL, ROOT, SCHEMA, Trained
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.types import ColSpec, DataType, Schema
from moto.server import ThreadedMotoServer
from typer import Typer
from typer.testing import CliRunner

from app import (
    champion,
    console,
    evidence,
    fetch,
    predict,
    register,
    runs,
    signing,
    snapshots,
    train,
    verdict,
    weights,
)
from app.serving import model as served

pytestmark = pytest.mark.slow

NAME = MODEL.name
SOURCE = {"key": "data/x.parquet", "versionId": "1", "sha256": "0", "commit": "c", "dirty": False}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of one SQLite store for the module: making its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    client.create_experiment(NAME, artifact_location=f"file://{folder}/artifacts")
    return uri


@pytest.fixture
def client(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("FERRY_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    mlflow.set_tracking_uri(store)
    return mlflow.MlflowClient()


@pytest.fixture(scope="module")
def judged(loans: pd.DataFrame, trained: Trained) -> evidence.Evidence:
    loaded = served.load(trained.folder, trained.weights)
    return evidence.collect(MODEL, loans, loaded, {**SOURCE, "weights": trained.weights})


def _snapshot(bucket: snapshots.Bucket, table: pd.DataFrame) -> snapshots.Snapshot:
    """A snapshot of the table that passed validation."""
    manifest, _ = snapshots.write(bucket, MODEL.dataset, table, MODEL.dataset.last_day)
    found = snapshots.Snapshot.parse(manifest)
    said = {"success": True, "sha256": found.sha256, "suite": "", "failures": []}
    key = verdict.key(found.key, found.sha256)
    bucket.put(key, json.dumps(said).encode(), "application/json")
    return found


@pytest.fixture
def snapshot(
    bucket: snapshots.Bucket, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> snapshots.Snapshot:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    return _snapshot(bucket, loans)


@pytest.fixture(scope="module")
def logged(store: str, loans: pd.DataFrame, trained: Trained, judged: evidence.Evidence) -> str:
    """A run as training logs it."""
    mlflow.set_tracking_uri(store)
    mlflow.set_experiment(NAME)
    graph = onnx.load(trained.folder / "model.onnx")
    snapshot = snapshots.Snapshot(key="data/lending-club/2016.parquet", version_id="1", sha256="0")
    with mlflow.start_run():
        return runs.log(
            MODEL,
            snapshot,
            "loans",
            loans,
            trained.folder,
            graph,
            trained.evidence,
            judged,
            ("c" * 40, False),
        )


@pytest.fixture
def run(logged: str, store: str, client: mlflow.MlflowClient, tmp_path: Path) -> Generator[str]:
    """The run, which a test may spoil."""
    artifacts = Path(store.removeprefix("sqlite:///")).parent / "artifacts"
    shutil.copytree(artifacts, tmp_path / "artifacts")
    yield logged
    shutil.rmtree(artifacts)
    shutil.copytree(tmp_path / "artifacts", artifacts)
    client.set_tag(logged, "ferry.features", SCHEMA.hash())


def _command(function: Any, *arguments: str) -> tuple[int, dict[str, Any] | str]:  # noqa: ANN401
    app = Typer()
    app.command()(function)
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    return answer.exit_code, json.loads(answer.stdout) if not answer.exit_code else answer.output


def test_a_run_becomes_a_signed_version_that_predicts(
    bucket: snapshots.Bucket,
    snapshot: snapshots.Snapshot,
    client: mlflow.MlflowClient,
    committed: str,
    tmp_path: Path,
    loans: pd.DataFrame,
    trained: Trained,
) -> None:
    reference = tmp_path / "snapshot.json"
    reference.write_text(json.dumps(snapshot.reference))
    code, document = _command(train.main, "--model", NAME, "--snapshot", str(reference))
    assert code == 0, document
    assert isinstance(document, dict)
    run = document["run"]
    found = client.get_run(run)
    assert found.data.tags["ferry.commit"] == committed
    assert found.data.metrics["auc"] > found.data.metrics["auc_low"]
    assert found.inputs is not None
    assert found.inputs.dataset_inputs[0].dataset.name == snapshot.key
    assert {file.path for file in client.list_artifacts(run, "plots")} == {
        f"plots/{name}.png" for name in ("calibration", "precision_recall", "roc", "shap")
    }
    validation = client.download_artifacts(run, "evidence/validation.json", str(tmp_path))
    said = bucket.get(verdict.key(snapshot.key, snapshot.sha256))
    assert Path(validation).read_bytes() == said

    code, version = _command(register.main, "--model", NAME, "--run", run)
    assert code == 0, version
    assert isinstance(version, dict)
    assert version["new"]
    assert version["data"] == snapshot.reference
    stored = client.get_model_version(NAME, version["version"])
    assert set(register.TAGS) <= stored.tags.keys()
    # Only the build of an image that passes its self-test makes a candidate.
    assert not client.get_registered_model(NAME).aliases

    code, again = _command(register.main, "--model", NAME, "--run", run)
    assert code == 0, again
    assert again == {**version, "new": False}

    folder = tmp_path / "model"
    number = str(version["version"])
    code, files = _command(fetch.main, "--model", NAME, "--version", number, "--to", str(folder))
    assert code == 0, files
    assert weights.digest(folder) == version["weights"]
    signature = client.download_artifacts(run, "evidence/signature.json", str(tmp_path))
    key = signing.key_path().with_suffix(".pub")
    signing.verify(folder, Path(signature), public_key=key)
    signer = client.download_artifacts(run, "evidence/signer.pem", str(tmp_path))
    assert Path(signer).read_bytes() == key.read_bytes()
    assert (
        version["signer"] == stored.tags["ferry.signer"] == signing.ensure_key(signing.key_path())
    )

    code, scored = _command(predict.main, str(MODEL.dataset.sample_file), "--folder", str(folder))
    assert code == 0, scored
    assert isinstance(scored, dict)
    matrix = SCHEMA.from_columns(MODEL.dataset.columns(loans))
    expected = served.load(folder, version["weights"]).score(matrix)
    assert scored["probabilities"] == pytest.approx(expected.tolist())

    # The next run is compared with the version that is served.
    client.set_registered_model_alias(NAME, "candidate", number)
    code, next_run = _command(train.main, "--model", NAME, "--snapshot", str(reference))
    client.delete_registered_model_alias(NAME, "candidate")
    assert code == 0, next_run
    assert isinstance(next_run, dict)
    assert next_run["weights"] == document["weights"]
    assert next_run["champion"]["version"] == version["version"]
    assert next_run["champion"]["differences"]["auc"] == {"value": 0, "low": 0, "high": 0}

    # An MLflow client gets the same answer from the registered model.
    table = pd.DataFrame(matrix.astype(float), columns=pd.Index(SCHEMA.names))
    answer = mlflow.pyfunc.load_model(f"models:/{NAME}/{number}").predict(table)
    assert isinstance(answer, pd.DataFrame)
    assert answer["probability"].tolist() == pytest.approx(expected.tolist())


def test_the_project_trains_by_mlflow_run(
    store: str, loans: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: str
) -> None:
    monkeypatch.setenv("FERRY_BUCKET", "loans")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    versioning = {"Status": "Enabled"}
    boto3.client("s3").create_bucket(Bucket="loans")
    boto3.client("s3").put_bucket_versioning(Bucket="loans", VersioningConfiguration=versioning)
    reference = tmp_path / "snapshot.json"
    reference.write_text(json.dumps(_snapshot(snapshots.Bucket(), loans).reference))
    binaries = Path(sys.executable).parent
    # MLflow notes the experiment of this process in the environment.
    inherited = {
        name: value for name, value in os.environ.items() if name != "MLFLOW_EXPERIMENT_ID"
    }
    environment = {
        **inherited,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": store,
        "FERRY_COMMIT": "d" * 40 + "-dirty",
    }
    arguments = ["--env-manager", "local", "-e", "train", "-P", f"snapshot={reference}"]
    done = subprocess.run(
        [binaries / "mlflow", "run", "app", "--experiment-name", NAME, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(store)
    found = client.get_run(register.latest(client, NAME))
    assert found.data.tags["ferry.commit"] == "d" * 40
    assert found.data.tags["ferry.dirty"] == "true"
    assert found.data.tags["mlflow.project.entryPoint"] == "train"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """A store that another process can reach."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def test_the_stacks_alias_is_the_champion_before_the_candidate(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champion, "_loaded", lambda version: f"version {version.version}")
    monkeypatch.setenv("FERRY_STACK", "dev")
    assert champion.find(client, "loans") is None
    client.create_registered_model("loans")
    assert champion.find(client, "loans") is None
    for _ in range(2):
        client.create_model_version("loans", "file:///none")
    client.set_registered_model_alias("loans", "candidate", "2")
    found = champion.find(client, "loans")
    assert found
    assert (found.version, found.alias) == (2, "candidate")
    client.set_registered_model_alias("loans", "dev", "1")
    found = champion.find(client, "loans")
    assert found
    assert (found.version, found.alias) == (1, "dev")


def test_a_champion_whose_run_is_gone_does_not_stop_training(client: mlflow.MlflowClient) -> None:
    client.create_registered_model("orphaned")
    client.create_model_version("orphaned", "file:///none", "0" * 32)
    client.set_registered_model_alias("orphaned", "candidate", "1")
    found = champion.find(client, "orphaned")
    assert found
    assert "0" * 32 in str(found.model)


def test_a_champion_whose_run_a_job_may_not_see_is_named_with_it(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise MlflowException("Permission denied", PERMISSION_DENIED)

    monkeypatch.setattr(champion.fetch, "fetch", denied)
    client.create_registered_model("elsewhere")
    client.create_model_version("elsewhere", "file:///none", "0" * 32)
    client.set_registered_model_alias("elsewhere", "candidate", "1")
    found = champion.find(client, "elsewhere")
    assert found
    assert found.model == f"run {'0' * 32}: Permission denied"


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


def test_a_logged_model_with_another_signature_is_not_registered(
    run: str, client: mlflow.MlflowClient
) -> None:
    outputs = client.get_run(run).outputs
    assert outputs is not None
    model_id = outputs.model_outputs[0].model_id
    columns = [ColSpec(DataType.double, name) for name in reversed(SCHEMA.names)]
    reordered = ModelSignature(
        Schema(list(columns)), Schema([ColSpec(DataType.float, "probability")])
    )
    mlflow.models.set_signature(f"models:/{model_id}", reordered)
    with pytest.raises(console.Refused, match="has a signature of total_il_high_credit_limit"):
        register.register(client, replace(MODEL, name="reordered"), run)
    assert client.search_registered_models("name = 'reordered'") == []


@pytest.mark.parametrize("name", ["card.md", "privacy.json"])
def test_a_run_without_all_evidence_is_not_registered(
    run: str, client: mlflow.MlflowClient, name: str
) -> None:
    uri = client.get_run(run).info.artifact_uri
    assert uri is not None
    Path(uri.removeprefix("file://"), "evidence", name).unlink()
    with pytest.raises(console.Refused, match=f"no {name} among its evidence"):
        register.register(client, replace(MODEL, name="unproven"), run)
    assert client.search_registered_models("name = 'unproven'") == []


def test_a_key_that_cannot_sign_registers_nothing(
    run: str, client: mlflow.MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "bad.key"
    key.write_text("none")
    monkeypatch.setenv("MODEL_SIGNING_KEY", str(key))
    with pytest.raises(console.Refused, match=r"cannot be signed with .*bad\.key"):
        register.register(client, replace(MODEL, name="unsigned"), run)
    assert client.search_registered_models("name = 'unsigned'") == []


def test_without_options_the_newest_snapshot_and_run_are_taken(
    run: str,
    snapshot: snapshots.Snapshot,
    client: mlflow.MlflowClient,
    committed: str,
    judged: evidence.Evidence,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "collect", lambda *_: judged)
    code, newest = _command(train.main, "--model", NAME)
    assert code == 0, newest
    assert isinstance(newest, dict)
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


DAMAGES = {
    "repeated keys": (
        lambda table: table.assign(loan_id=table["loan_id"].where(table.index != 1, 5)),
        "loan_id: 1 keys stand in several rows, such as",
    ),
    "one class": (lambda table: table.assign(Class="good"), "400 rows are of class good; wanted"),
    "an unknown class": (
        lambda table: table.assign(Class=table["Class"].where(table.index != 1, "ugly")),
        "are of class bad, good, ugly",
    ),
    "a constant column": (
        lambda table: table.assign(int_rate=7.0),
        "int_rate: the same value in all 400 rows",
    ),
    "a missing column": (lambda table: table.drop(columns="term"), "no column term"),
    "a value out of range": (
        lambda table: table.assign(int_rate=table["int_rate"].where(table.index != 1, 101.0)),
        "row 1, int_rate: range",
    ),
    "not a number": (
        lambda table: table.assign(revol_util=table["revol_util"].where(table.index != 1)),
        "row 1, revol_util",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_corrupt_tables_are_refused_before_anything_is_logged(
    damage: Any,  # noqa: ANN401
    message: str,
    bucket: snapshots.Bucket,
    client: mlflow.MlflowClient,
    committed: str,
    loans: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    loans = loans.assign(loan_id=loans["loan_id"].where(loans.index != 0, 5))
    _snapshot(bucket, damage(loans))
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    before = client.search_runs([experiment.experiment_id])
    code, output = _command(train.main, "--model", NAME)
    assert code == 3
    assert message in output
    assert len(client.search_runs([experiment.experiment_id])) == len(before)


def test_shuffled_labels_are_refused(
    bucket: snapshots.Bucket,
    client: mlflow.MlflowClient,
    committed: str,
    loans: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    shuffled = loans["Class"].sample(frac=1, random_state=3, ignore_index=True)
    _snapshot(bucket, loans.assign(Class=shuffled))
    code, output = _command(train.main, "--model", NAME)
    assert code == 3
    assert "does not stay above 0.5" in output


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


@pytest.mark.parametrize("given", ["main", "d" * 39, "d" * 40 + "-changed"])
def test_a_malformed_commit_of_an_image_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_COMMIT", given)
    code, output = _command(train.main, "--model", NAME)
    assert code == 3
    assert "FERRY_COMMIT" in output


def test_training_needs_a_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FERRY_COMMIT", raising=False)
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
