"""A bucket, an MLflow store and a model trained on the repository's 400 loans, all in tmp."""

import itertools
import shutil
import subprocess
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import hypothesis
import msgspec
import pandas as pd
import pytest
import redis
from moto import mock_aws
from starlette.testclient import TestClient

from app import definition, signing, snapshots, train, weights
from app.serving import check, edge, model, online, web
from app.serving.metrics import Metrics
from app.serving.service import Service

if TYPE_CHECKING:
    from grpc_harness import Running
    from online_harness import Server

# Time limits would only measure how busy the machine is.
hypothesis.settings.register_profile(
    "ferry",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ],
)
hypothesis.settings.load_profile("ferry")

ROOT = Path(__file__).parents[2]
SHA256 = "0" * 64
MODEL = definition.find("credit-default")
SCHEMA = MODEL.schema
INFER = f"/v2/models/{MODEL.name}/infer"
ERROR_FIELDS = {"error", "code", "problems", "requestId"}
Checked = Callable[[Path, str], int]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model's folder and what training says about it."""

    folder: Path
    evidence: dict[str, Any]

    @property
    def weights(self) -> str:
        return self.evidence["weights"]


@pytest.fixture(scope="session")
def loans() -> pd.DataFrame:
    return MODEL.dataset.load(sample=True)


@pytest.fixture(scope="session")
def trained(loans: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("model")
    _, evidence = train.build(MODEL, loans, SHA256, folder)
    return Trained(folder=folder, evidence=evidence)


def sign(folder: Path, into: Path) -> str:
    """Sign `folder` with a new key into the folder `into`, as an image has it; give the signer."""
    into.mkdir(parents=True)
    key = into.with_name(f"{into.name}.key")
    signing.ensure_key(key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_SIGNING_KEY", str(key))
        signer, public = signing.sign(folder, into / weights.SIGNATURE)
    assert public is not None
    (into / weights.PUBLIC_KEY).write_bytes(public)
    return signer


@dataclass(frozen=True, kw_only=True)
class Signed:
    """The folder of a signature, and whose it is."""

    folder: Path
    signer: str


@pytest.fixture(scope="session")
def signed(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """The signature of the trained model."""
    folder = tmp_path_factory.mktemp("signed") / "signature"
    return Signed(signer=sign(trained.folder, folder), folder=folder)


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    """The check's exit code for files that are signed as they are."""
    number = itertools.count()

    def main(folder: Path, digest: str) -> int:
        signature = tmp_path / f"signature-{next(number)}"
        return check.main(folder, digest, signature, sign(folder, signature))

    return main


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the model's files, to be damaged."""
    copied = tmp_path / "model"
    shutil.copytree(trained.folder, copied)
    return copied


@pytest.fixture(scope="session")
def loaded(trained: Trained) -> model.Model:
    return model.load(trained.folder, trained.weights)


@pytest.fixture(scope="session")
def loan(trained: Trained) -> dict[str, Any]:
    """One valid loan, as a client would send it."""
    golden = msgspec.json.decode((trained.folder / "golden.json").read_bytes())
    return golden["rows"][0]


@pytest.fixture
def service(loaded: model.Model) -> Service:
    """A service that has loaded its model."""
    found = Service(name=MODEL.name, version="7", metrics=Metrics(MODEL.name, "7"))
    found.serve(loaded)
    return found


@pytest.fixture
def client(service: Service) -> TestClient:
    """A client that shows a server's exception as the 500 that a real client would get."""
    app = web.create(service, edge.Bounds(body_bytes=200_000))
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="session", autouse=True)
def _boto_reads_its_data_once() -> Generator[None]:
    """Each `mock_aws` forgets boto's session, and with it megabytes of parsed JSON."""
    loader = botocore.session.create_loader()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(botocore.session, "create_loader", lambda *_: loader)
        yield


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Generator[snapshots.Bucket]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL_S3", "FERRY_LOCK_DAYS"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="loans")
        client.put_bucket_versioning(Bucket="loans", VersioningConfiguration={"Status": "Enabled"})
        yield snapshots.Bucket("loans")


@pytest.fixture
def locked(bucket: snapshots.Bucket, monkeypatch: pytest.MonkeyPatch) -> snapshots.Bucket:
    """A bucket with object lock, as the platform makes it where there is no default retention."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    client.put_bucket_versioning(Bucket="locked", VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setenv("FERRY_LOCK_DAYS", "30")
    return snapshots.Bucket("locked")


@pytest.fixture
def without_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation without Great Expectations' pages, and with details of what failed only."""
    monkeypatch.setattr("app.checks._LARGE", 0)
    monkeypatch.setattr("app.checks._pages", lambda *_: {})


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator["Server"]:
    """A Redis of the tests' own."""
    import online_harness  # which imports this module

    with online_harness.serving(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a feature registry that is not there yet."""
    url = f"sqlite:///{tmp_path / 'features.db'}"
    monkeypatch.setenv("FEATURE_REGISTRY", url)
    return url


@pytest.fixture
def store(server: "Server", registry: str) -> Generator[redis.Redis]:
    """The server, empty."""
    with redis.Redis(**online.options(server.connection)) as client:
        for key in client.scan_iter():
            client.unlink(key)
        yield client


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Git repository with one commit, whatever the tests run in; gives the commit."""
    repository = tmp_path / "repository.git"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q", "--bare", str(repository)], check=True)
    monkeypatch.setenv("GIT_DIR", str(repository))
    monkeypatch.setenv("GIT_WORK_TREE", str(ROOT))
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    found = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def sample(service: Service, name: str, **labels: str) -> float | None:
    """The value of one of the service's own series."""
    common = {"model": service.name, "version": service.version}
    return service.metrics.registry.get_sample_value(name, {**common, **labels})


@pytest.fixture
def rows(trained: Trained) -> list[dict[str, Any]]:
    """The rows of the model's self-test."""
    return msgspec.json.decode((trained.folder / "golden.json").read_bytes())["rows"]


@pytest.fixture
def running(service: Service) -> Generator["Running"]:
    """A gRPC server of the service, with a client's channel."""
    import grpc_harness  # which imports this module

    found = grpc_harness.Running(service)
    yield found
    found.close()
