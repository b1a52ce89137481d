"""The online row is the training row and what Feast reads, and a bad store gives no answer."""

import asyncio
import dataclasses
import datetime
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import redis
from conftest import MODEL, ROOT, SCHEMA
from feast import FeatureStore, RepoConfig
from hypothesis import given
from hypothesis import strategies as st
from online_harness import (
    DATASET,
    NAMES,
    PASSWORD,
    Server,
    history,
    materialise,
    rejected,
    rows,
    snapshot_of,
    with_lifetime,
)

from app import features, snapshots
from app.serving import online


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
