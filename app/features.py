"""Features by Feast: joined as of their time for training, and filled into the online store."""

import contextlib
import datetime
import os
import sys
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import redis
import typer
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.feast_object import FeastObject
from feast.types import Float64, Int64, PrimitiveFeastType, String
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy.exc import SQLAlchemyError

from app import console, definition, snapshots
from app.bucket import UNAVAILABLE, Bucket
from app.dataset import Dataset
from app.definition import Definition
from app.schema import Feature, Number
from app.serving import online

_TIME = "event_timestamp"
_FILE = "rows.parquet"
_SOURCE = "snapshot"
_BATCH = 5000


def training_frame(model: Definition, table: pd.DataFrame) -> pd.DataFrame:
    """A snapshot's rows, each with its features as they were known on the day it arrived.

    Columns, types and order are the table's. Nothing is declared to the shared
    registry. Raises `console.Refused` when a row would be lost, as when key and day come twice.
    """
    found = as_of(model, table, table.drop(columns=list(model.schema.names)))
    if len(found) != len(table):
        raise console.Refused(
            f"{len(table)} rows of {model.dataset.name} give {len(found)} training rows: some have "
            f"the same {model.dataset.key} and {model.dataset.time}; run `python -m app.validate`"
        )
    return found[list(table.columns)].astype(table.dtypes)


def as_of(model: Definition, rows: pd.DataFrame, entities: pd.DataFrame) -> pd.DataFrame:
    """Each of `entities` (key and time columns, and others) with the newest of `rows` about it.

    Rows of a later day are not seen, nor those older than the dataset's lifetime; an entity with no
    row left is left out. Sorted by key, then time.
    """
    dataset, names = model.dataset, list(model.schema.names)
    wanted = entities.assign(**{_TIME: _times(entities, dataset)})
    with _store(model, rows) as store:
        references = [f"{online.VIEW}:{name}" for name in names]
        found = store.get_historical_features(entity_df=wanted, features=references).to_df()
    found = found.dropna(subset=names).astype(rows[names].dtypes)
    return found.drop(columns=_TIME).sort_values([dataset.key, dataset.time], ignore_index=True)


def materialise(
    model: Definition, table: pd.DataFrame, snapshot: snapshots.Snapshot, connection: str | None
) -> dict[str, int]:
    """Declare the model's features to the shared registry and fill the online store, if any.

    Afterwards the online store holds the entities of the table and no others of the model's. The
    same again changes nothing there; what an interrupted run left is completed.
    """
    if connection is None:
        with _store(model, table, _registry(), None, snapshot.reference):
            return {"rows": len(table), "online": 0, "removed": 0}
    with (
        redis.Redis(**online.options(connection), retry=Retry(NoBackoff(), 1)) as client,
        _store(model, table, _registry(), connection, snapshot.reference) as store,
    ):
        client.ping()  # Feast would try for long
        start = _midnight(table[model.dataset.time].min())
        end = _midnight(snapshot.day) + datetime.timedelta(days=1)
        # Stdout is for the result alone.
        with contextlib.redirect_stdout(sys.stderr):
            store.materialize(start, end, [online.VIEW])
        removed = _tidy(client, model, table)
    return {
        "rows": len(table),
        "online": int(table[model.dataset.key].nunique()),
        "removed": removed,
    }


@contextlib.contextmanager
def _store(
    model: Definition,
    rows: pd.DataFrame,
    registry: str | None = None,
    connection: str | None = None,
    tags: dict[str, str] | None = None,
) -> Generator[FeatureStore]:
    """A store with the model's features declared and `rows` as their source, while it is open."""
    dataset = model.dataset
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = rows[[dataset.key, *model.schema.names]].assign(**{_TIME: _times(rows, dataset)})
        source.to_parquet(folder / _FILE, index=False)
        config: dict[str, Any] = {
            "project": online.project(model.name),
            "provider": "local",
            "registry": {
                "registry_type": "sql",
                "path": registry or f"sqlite:///{folder / 'registry.db'}",
                "cache_ttl_seconds": 0,
            },
            "offline_store": {"type": "dask"},
            "online_store": None,
            "entity_key_serialization_version": 3,
            "repo_path": folder,
        }
        if connection is not None:
            # The snapshot is the truth: Feast would keep a row that was corrected on its own day.
            config["online_store"] = {
                "type": "redis",
                "connection_string": connection,
                "skip_dedup": True,
            }
        store = FeatureStore(config=RepoConfig(**config))
        store.apply(_declarations(model, tags or {}))
        yield store


def _declarations(model: Definition, tags: dict[str, str]) -> list[FeastObject]:
    key = model.dataset.key
    entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
    view = FeatureView(
        name=online.VIEW,
        entities=[entity],
        schema=[
            Field(name=key, dtype=Int64),
            *(Field(name=feature.name, dtype=_type(feature)) for feature in model.schema.features),
        ],
        # Relative to the store's folder, so that the registry names no folder of this machine's.
        source=FileSource(name=_SOURCE, path=_FILE, timestamp_field=_TIME),
        ttl=model.dataset.lifetime,
        tags={"schema": model.schema.hash(), **tags},
    )
    return [entity, view]


def _type(feature: Feature) -> PrimitiveFeastType:
    if isinstance(feature, Number):
        return Int64 if feature.integer else Float64
    return String


def _midnight(day: str) -> datetime.datetime:
    return datetime.datetime.combine(
        datetime.date.fromisoformat(day), datetime.time(), datetime.UTC
    )


def _times(table: pd.DataFrame, dataset: Dataset) -> pd.Series:
    return pd.to_datetime(table[dataset.time], utc=True)


def _registry() -> str:
    """FEATURE_REGISTRY, an SQLAlchemy URL; else a file of the user's."""
    given = os.environ.get("FEATURE_REGISTRY")
    if given:
        return given
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    folder = Path(state) / "ferry"
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'features.db'}"


def _connection() -> str | None:
    """ONLINE_STORE, if it is set and one can connect by it."""
    given = os.environ.get("ONLINE_STORE") or None
    if given is not None:
        try:
            online.options(given)
        except ValueError as error:
            raise console.Refused(str(error)) from error
    return given


def _tidy(client: redis.Redis, model: Definition, table: pd.DataFrame) -> int:
    """Remove the entities that are not in the table, and let the others end with their lifetime."""
    dataset, project = model.dataset, online.project(model.name)
    ends = _times(table, dataset).groupby(table[dataset.key]).max()
    wanted = {online.redis_key(project, dataset.key, entity): end for entity, end in ends.items()}
    prefix = online.key_prefix(dataset.key)
    size = len(online.redis_key(project, dataset.key, 0))
    gone = [
        key
        for key in client.scan_iter(match=_literal(prefix) + b"*" + project.encode(), count=_BATCH)
        if len(key) == size and key not in wanted
    ]
    for batch in _batches(gone):
        client.unlink(*batch)
    if dataset.lifetime is not None:
        for batch in _batches(wanted):
            with client.pipeline(transaction=False) as pipe:
                for key in batch:
                    pipe.expireat(key, (wanted[key] + dataset.lifetime).to_pydatetime())
                pipe.execute()
    return len(gone)


def _literal(text: bytes) -> bytes:
    """As a pattern of Redis' that matches only this."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in text)


def _batches(keys: Iterable[bytes]) -> Iterable[list[bytes]]:
    every = list(keys)
    return (every[start : start + _BATCH] for start in range(0, len(every), _BATCH))


def main(
    model: definition.Name,
    snapshot: snapshots.File = None,
    as_json: console.AsJson = False,
) -> None:
    """Declare a model's features and fill the online store at ONLINE_STORE from a snapshot."""
    with console.exit_codes(*UNAVAILABLE, RedisError, SQLAlchemyError):
        found, bucket = definition.find(model), Bucket()
        reference = snapshots.chosen(bucket, found, snapshot)
        table = snapshots.read(bucket, reference)
        done = materialise(found, table, reference, _connection())
        console.emit({**reference.reference, **done}, as_json)


if __name__ == "__main__":
    typer.run(main)
