"""Features are joined as of their time, and the online row is the training row."""

import asyncio
import dataclasses
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis
import typer
from conftest import MODEL, ROOT, SCHEMA
from feast import FeatureStore, RepoConfig
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app import console, features, ingest, snapshots, verdict
from app.definition import Definition
from app.serving import online
from app.serving.service import Rejected

DATASET = MODEL.dataset
DAY = DATASET.last_day
NAMES = list(SCHEMA.names)
PASSWORD = "of-the-tests"
# What the platform lets its callers do, see components/online_store.py.
USERS = f"user default on >{PASSWORD} ~* &* +@all -@admin -@dangerous\n"


@dataclasses.dataclass(frozen=True)
class Server:
    """A Redis of the tests' own."""

    connection: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    binary = shutil.which("redis-server")
    assert binary, "there is no redis-server on PATH; install Debian's redis-server"
    folder = tmp_path_factory.mktemp("redis")
    (folder / "users.acl").write_text(USERS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--save", "", "--aclfile", "users.acl"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "--port", str(port), *options], cwd=folder, stdout=log, stderr=log
        )
    try:
        found = Server(f"127.0.0.1:{port},password={PASSWORD}", process)
        deadline = time.monotonic() + 20
        with redis.Redis(**online.options(found.connection)) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.05)
        yield found
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'features.db'}"
    monkeypatch.setenv("FEATURE_REGISTRY", url)
    return url


@pytest.fixture
def store(server: Server, registry: str) -> Generator[redis.Redis]:
    """The server, empty."""
    with redis.Redis(**online.options(server.connection)) as client:
        for key in client.scan_iter():
            client.unlink(key)
        yield client


def snapshot_of(bucket: snapshots.Bucket, table: pd.DataFrame) -> snapshots.Snapshot:
    return snapshots.Snapshot.parse(snapshots.write(bucket, DATASET, table, DAY)[0])


def materialise(
    server: Server, table: pd.DataFrame, model: Definition = MODEL, day: datetime.date = DAY
) -> dict[str, int]:
    key = f"data/{DATASET.name}/{day.isoformat()}.parquet"
    snapshot = snapshots.Snapshot(key=key, version_id="1", sha256="0" * 64)
    return features.materialise(model, table, snapshot, server.connection)


def rows(connection: str, ids: Sequence[Any]) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        found = online.connect(connection, model=MODEL.name, key=DATASET.key, schema=SCHEMA)
        try:
            return await found.rows(ids)
        finally:
            await found.close()

    return asyncio.run(ask())


def rejected(connection: str, ids: Sequence[Any]) -> Rejected:
    with pytest.raises(Rejected) as caught:
        rows(connection, ids)
    return caught.value


def with_lifetime(days: int) -> Definition:
    lifetime = datetime.timedelta(days=days)
    return dataclasses.replace(MODEL, dataset=dataclasses.replace(DATASET, lifetime=lifetime))


def history(loans: pd.DataFrame, days: Sequence[int]) -> pd.DataFrame:
    """One loan on several days of January; its amount tells which."""
    table = pd.concat([loans.head(1)] * len(days), ignore_index=True)
    table[DATASET.time] = [f"2016-01-{day:02d}" for day in days]
    table["funded_amnt"] = [1000 + day for day in days]
    return table


def asked(table: pd.DataFrame, days: Sequence[int]) -> pd.DataFrame:
    found = pd.concat([table.head(1)] * len(days), ignore_index=True)
    found[DATASET.time] = [f"2016-01-{day:02d}" for day in days]
    return found.drop(columns=NAMES)


def test_the_training_frame_is_the_snapshot(bucket: snapshots.Bucket, loans: pd.DataFrame) -> None:
    frame = features.training_frame(MODEL, snapshots.read(bucket, snapshot_of(bucket, loans)))
    pd.testing.assert_frame_equal(frame, loans)


@settings(max_examples=6)
@example(known={3, 20}, wanted={2, 10, 20}, lifetime=None)
@example(known={1}, wanted={1, 11, 12}, lifetime=10)
@given(
    known=st.sets(st.integers(1, 31), min_size=1, max_size=6),
    wanted=st.sets(st.integers(1, 31), min_size=1, max_size=6),
    lifetime=st.none() | st.integers(1, 15),
)
def test_a_row_sees_the_newest_features_of_its_past_and_never_its_future(
    loans: pd.DataFrame, known: set[int], wanted: set[int], lifetime: int | None
) -> None:
    table = history(loans, sorted(known, reverse=True))
    model = MODEL if lifetime is None else with_lifetime(lifetime)
    found = features.as_of(model, table, asked(table, sorted(wanted)))
    expected = {
        f"2016-01-{day:02d}": 1000 + max(past)
        for day in wanted
        if (past := [at for at in known if day - (lifetime or 31) <= at <= day])
    }
    assert dict(zip(found[DATASET.time], found["funded_amnt"], strict=True)) == expected


def test_a_loan_that_changed_later_is_trained_on_as_it_was(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    later = loans.head(50).assign(arrived=DAY.isoformat(), int_rate=99.0)
    table = pd.concat([loans, later], ignore_index=True)
    table = table.sort_values([DATASET.key, DATASET.time], ignore_index=True)
    frame = features.training_frame(MODEL, snapshots.read(bucket, snapshot_of(bucket, table)))
    pd.testing.assert_frame_equal(frame, table)


def test_two_rows_of_one_loan_on_one_day_are_refused(
    bucket: snapshots.Bucket, loans: pd.DataFrame
) -> None:
    twice = pd.concat([loans, loans.head(1)], ignore_index=True)
    with pytest.raises(console.Refused, match=r"401 rows of .* give 400 training rows"):
        features.training_frame(MODEL, snapshots.read(bucket, snapshot_of(bucket, twice)))


def test_the_online_row_is_the_training_row_and_what_feast_reads(
    bucket: snapshots.Bucket, loans: pd.DataFrame, server: Server, store: redis.Redis, registry: str
) -> None:
    snapshot = snapshot_of(bucket, loans)
    done = features.materialise(MODEL, loans, snapshot, server.connection)
    assert done == {"rows": 400, "online": 400, "removed": 0}
    ids = loans[DATASET.key].tolist()
    frame = features.training_frame(MODEL, snapshots.read(bucket, snapshot))
    found = rows(server.connection, ids)
    assert found == frame[NAMES].to_dict("records")
    assert (SCHEMA.from_rows(found) == SCHEMA.from_columns(DATASET.columns(frame))).all()
    config = RepoConfig(
        project=online.project(MODEL.name),
        provider="local",
        registry={"registry_type": "sql", "path": registry},
        online_store={"type": "redis", "connection_string": server.connection},
        entity_key_serialization_version=3,
    )
    answer = FeatureStore(config=config).get_online_features(
        features=[f"{online.VIEW}:{name}" for name in NAMES],
        entity_rows=[{DATASET.key: entity} for entity in ids],
    )
    assert answer.to_df()[NAMES].to_dict("records") == found


def test_again_changes_nothing_online(
    loans: pd.DataFrame, server: Server, store: redis.Redis
) -> None:
    materialise(server, loans)
    before = {key: store.hgetall(key) for key in store.scan_iter()}
    assert materialise(server, loans)["removed"] == 0
    assert {key: store.hgetall(key) for key in store.scan_iter()} == before


def test_a_row_corrected_on_its_own_day_is_corrected_online(
    loans: pd.DataFrame, server: Server, store: redis.Redis
) -> None:
    materialise(server, loans)
    materialise(server, loans.assign(int_rate=7.5))
    ids = loans[DATASET.key].tolist()
    assert {row["int_rate"] for row in rows(server.connection, ids)} == {7.5}


def test_the_newest_of_several_rows_is_the_one_online(
    loans: pd.DataFrame, server: Server, store: redis.Redis
) -> None:
    table = history(loans, [3, 20, 11])
    materialise(server, table)
    [row] = rows(server.connection, table[DATASET.key].tolist()[:1])
    assert row["funded_amnt"] == 1020


def test_entities_that_left_the_snapshot_leave_the_store_and_other_models_stay(
    loans: pd.DataFrame, server: Server, store: redis.Redis
) -> None:
    other = dataclasses.replace(MODEL, name="other-credit-default")
    materialise(server, loans, other)
    materialise(server, loans)
    done = materialise(server, loans.head(100))
    assert done == {"rows": 100, "online": 100, "removed": 300}
    gone = int(loans[DATASET.key].iloc[100])
    assert rejected(server.connection, [gone]).status == 404
    assert len(list(store.scan_iter())) == 500


def test_a_row_ends_online_with_its_lifetime(
    loans: pd.DataFrame, server: Server, store: redis.Redis
) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    arrived = [(today - datetime.timedelta(days=age)).isoformat() for age in (5, 9, 20)]
    table = loans.head(3).assign(arrived=arrived)
    materialise(server, table, with_lifetime(10), today)
    ids = table[DATASET.key].tolist()
    assert len(rows(server.connection, ids[:2])) == 2
    assert rejected(server.connection, ids[2:]).status == 404
    key = online.redis_key(online.project(MODEL.name), DATASET.key, ids[0])
    midnight = datetime.datetime.combine(today, datetime.time(), datetime.UTC)
    ends = store.execute_command("EXPIRETIME", key)
    assert ends == (midnight + datetime.timedelta(days=5)).timestamp()


@pytest.mark.parametrize("entity", [0, -1, 2**63, -(2**63) - 1, 10**40])
def test_an_unknown_entity_is_not_found(
    loans: pd.DataFrame, server: Server, store: redis.Redis, entity: int
) -> None:
    materialise(server, loans.head(3))
    known = int(loans[DATASET.key].iloc[0])
    found = rejected(server.connection, [known, entity])
    assert (found.status, found.code) == (404, "entity")
    assert [(problem.field, problem.row) for problem in found.problems] == [(DATASET.key, 1)]


@pytest.mark.parametrize("entity", ["1", 1.0, True, None, [1]])
def test_an_entity_that_is_no_integer_is_invalid(server: Server, entity: object) -> None:
    found = rejected(server.connection, [entity])
    assert (found.status, found.code) == (422, "type")
    assert found.problems[0].field == DATASET.key


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"\x12\x01x"])
def test_a_row_of_another_schema_is_no_answer(
    loans: pd.DataFrame, server: Server, store: redis.Redis, content: bytes | None
) -> None:
    materialise(server, loans.head(1))
    entity = int(loans[DATASET.key].iloc[0])
    key = online.redis_key(online.project(MODEL.name), DATASET.key, entity)
    field = online.field(SCHEMA.features[0])
    if content is None:
        store.execute_command("HDEL", key, field)
    else:
        store.execute_command("HSET", key, field, content)
    found = rejected(server.connection, [entity])
    assert (found.status, found.code) == (503, "online")
    assert "no funded_amnt" in str(found)


def test_a_store_that_is_down_is_told_at_once_and_without_its_password() -> None:
    began = time.monotonic()
    found = rejected(f"127.0.0.1:1,password={PASSWORD}", [1])
    assert (found.status, found.code) == (503, "online")
    assert PASSWORD not in str(found)
    assert time.monotonic() - began < 5


def test_a_wrong_password_is_a_store_that_does_not_answer(server: Server) -> None:
    address = server.connection.split(",")[0]
    assert rejected(f"{address},password=wrong", [1]).status == 503


def test_a_store_that_hangs_costs_one_deadline_and_mixes_up_no_answers(
    loans: pd.DataFrame, server: Server, store: redis.Redis
) -> None:
    materialise(server, loans)
    ids = loans[DATASET.key].tolist()
    wanted = loans[NAMES].to_dict("records")

    async def ask() -> None:
        found = online.connect(server.connection, model=MODEL.name, key=DATASET.key, schema=SCHEMA)
        assert await found.rows(ids[:1]) == wanted[:1]
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            answers = await asyncio.gather(
                *(found.rows([entity]) for entity in ids[:40]), return_exceptions=True
            )
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        assert {getattr(answer, "status", None) for answer in answers} == {503}
        assert time.monotonic() - began < 5
        later = await asyncio.gather(*(found.rows([entity]) for entity in ids))
        assert [row for [row] in later] == wanted
        await found.close()

    asyncio.run(ask())


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:port", "h:1,secret"])
def test_what_is_no_connection_string_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="ONLINE_STORE is no connection string") as caught:
        online.options(text)
    assert "secret" not in str(caught.value)


@given(st.integers(-(2**63), 2**63 - 1), st.from_regex(r"[a-z_]{1,20}", fullmatch=True))
def test_the_keys_are_those_of_feast(entity: int, column: str) -> None:
    from feast.infra.online_stores.helpers import _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    key = EntityKey(join_keys=[column], entity_values=[Value(int64_val=entity)])
    assert online.redis_key("some_project", column, entity) == _redis_key("some_project", key)


def test_a_server_reads_rows_without_feast_or_pandas() -> None:
    heavy = ["feast", "pandas", "mlflow", "boto3", "great_expectations"]
    code = f"import sys, app.serving.online; print([n for n in {heavy} if n in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.fixture
def command(
    bucket: snapshots.Bucket, store: redis.Redis, server: Server, monkeypatch: pytest.MonkeyPatch
) -> typer.Typer:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    monkeypatch.setenv("ONLINE_STORE", server.connection)
    document = ingest.ingest(bucket, DATASET, DAY, sample=True)
    said = json.dumps(
        {"success": True, "sha256": document["sha256"], "suite": "", "failures": []}
    ).encode()
    bucket.put(verdict.key(document["key"], document["sha256"]), said, "application/json")
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
