"""The command declares the features, fills the online store, and speaks to nobody else."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
from conftest import MODEL, SCHEMA
from feast import FeatureStore, RepoConfig
from online_harness import DATASET, DAY, NAMES, Server
from snapshot_harness import validated
from typer.testing import CliRunner

from app import features, ingest, snapshots
from app.serving import online


@pytest.fixture
def command(
    bucket: snapshots.Bucket, store: redis.Redis, server: Server, monkeypatch: pytest.MonkeyPatch
) -> typer.Typer:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    monkeypatch.setenv("ONLINE_STORE", server.connection)
    document = ingest.ingest(bucket, DATASET, DAY, sample=True)
    validated(bucket, document)
    app = typer.Typer()
    app.command()(features.main)
    return app


def test_the_command_speaks_to_nobody_but_the_store_and_writes_nothing_here(
    command: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    connect, asked_for = socket.socket.connect, set()

    def noted(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - as socket's
        asked_for.add(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    answer = CliRunner().invoke(command, ["--model", MODEL.name, "--json"])
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    assert (document["online"], document["key"]) == (400, "data/lending-club/2016-03-31.parquet")
    port = int(server.connection.split(",")[0].rpartition(":")[2])
    assert asked_for == {("127.0.0.1", port)}
    assert list((tmp_path / "here").iterdir()) == []


def test_without_an_online_store_the_features_are_only_declared(
    command: typer.Typer, monkeypatch: pytest.MonkeyPatch, store: redis.Redis, registry: str
) -> None:
    monkeypatch.delenv("ONLINE_STORE")
    answer = CliRunner().invoke(command, ["--model", MODEL.name, "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["online"] == 0
    assert list(store.scan_iter()) == []
    config = RepoConfig(
        project=online.project(MODEL.name),
        provider="local",
        registry={"registry_type": "sql", "path": registry},
        entity_key_serialization_version=3,
    )
    [view] = FeatureStore(config=config).list_feature_views()
    assert [field.name for field in view.features] == NAMES
    assert view.tags["schema"] == SCHEMA.hash()
    assert view.tags["key"] == "data/lending-club/2016-03-31.parquet"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ONLINE_STORE", "127.0.0.1:1", 5),
        ("ONLINE_STORE", "nowhere", 3),
        ("FEATURE_REGISTRY", "sqlite:////no/such/folder/f.db", 5),
    ],
)
def test_a_dependency_that_is_down_and_a_wrong_address_have_their_exit_codes(
    command: typer.Typer, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: int
) -> None:
    monkeypatch.setenv(name, value)
    answer = CliRunner().invoke(command, ["--model", MODEL.name])
    assert answer.exit_code == code, answer.output
