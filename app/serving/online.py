"""Rows of the online store: read from Redis as Feast wrote them, without Feast."""

import asyncio
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import mmh3
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.schema import Category, Feature, Problem, Schema
from app.serving.service import Rejected

VIEW = "features"
"""The name of a model's one feature view."""

_STRING, _INT64 = 2, 4
"""Feast's numbers of the types that keys are made of."""
_OPTIONS = frozenset({"db", "password", "ssl", "username"})
_SECONDS = 0.5
"""How long the whole lookup of a request may take."""
_CONNECTIONS = 16


def project(model: str) -> str:
    """The Feast project of a model; projects have no dashes."""
    return model.replace("-", "_")


def redis_key(project: str, column: str, entity: int) -> bytes:
    """Where Feast keeps the row of an entity: its entity key, version 3, then the project.

    Raises `struct.error` for a number that is no int64.
    """
    return key_prefix(column) + struct.pack("<IIq", _INT64, 8, entity) + project.encode()


def key_prefix(column: str) -> bytes:
    """What the keys of all entities with this key column begin with."""
    name = column.encode()
    return struct.pack("<III", 1, _STRING, len(name)) + name


def field(feature: Feature) -> bytes:
    """The field of a row's hash in which Feast keeps this feature."""
    return struct.pack("<I", mmh3.hash(f"{VIEW}:{feature.name}", signed=False))


def options(connection: str) -> dict[str, Any]:
    """Read Feast's connection string, `host:port,password=…`, into redis-py's arguments.

    Raises ValueError, without the string's content, for anything else.
    """
    address, *pairs = connection.split(",")
    host, _, port = address.rpartition(":")
    given = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    if not host or not port.isdecimal() or not given.keys() <= _OPTIONS:
        raise ValueError(
            "ONLINE_STORE is no connection string; wanted is host:port and, after commas, "
            "name=value of " + ", ".join(sorted(_OPTIONS))
        )
    return {
        "host": host,
        "port": int(port),
        **{name: _plain(value) for name, value in given.items()},
    }


class OnlineStore:
    """The features of known entities, as last materialised."""

    def __init__(
        self, pool: BlockingConnectionPool, project: str, key: str, schema: Schema
    ) -> None:
        self._redis = Redis.from_pool(pool)
        self._project = project
        self._key = key
        self._features = schema.features
        self._fields = [field(feature) for feature in schema.features]

    async def rows(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The features of each entity, in the order of `ids`, as `schema.from_rows` takes them.

        Raises `Rejected`: 404 for an unknown entity, 422 for what is no integer, 503 when the store
        does not answer in time or lacks a feature of the model.
        """
        keys = [self._redis_key(entity, place) for place, entity in enumerate(ids)]
        try:
            async with asyncio.timeout(_SECONDS), self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.execute_command("HMGET", key, *self._fields)
                found = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            # The error's own text may hold the address: no business of a client's.
            raise Rejected(503, "online", "the store of features does not answer") from error
        return [
            self._row(values, place, entity)
            for place, (entity, values) in enumerate(zip(ids, found, strict=True))
        ]

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    def _redis_key(self, entity: int, place: int) -> bytes:
        expected = "an integer"
        if type(entity) is not int:
            problem = Problem(code="type", field=self._key, row=place, expected=expected)
            raise Rejected(
                422, "type", f"row {place}, {self._key}: wanted is {expected}", [problem]
            )
        try:
            return redis_key(self._project, self._key, entity)
        except struct.error as error:
            raise self._unknown(place) from error

    def _row(self, values: Sequence[bytes | None], place: int, entity: int) -> dict[str, Any]:
        if not any(value is not None for value in values):
            raise self._unknown(place)
        row: dict[str, Any] = {}
        for feature, content in zip(self._features, values, strict=True):
            value = _decode(content, feature)
            if value is None:
                raise Rejected(
                    503,
                    "online",
                    f"the store of features has no {feature.name} for row {place}; it was filled "
                    "for another model version, and the next materialisation mends it",
                )
            row[feature.name] = value
        return row

    def _unknown(self, place: int) -> Rejected:
        expected = f"a {self._key} of which the store has features"
        problem = Problem(code="entity", field=self._key, row=place, expected=expected)
        return Rejected(404, "entity", f"row {place}, {self._key}: wanted is {expected}", [problem])


def connect(connection: str, *, model: str, key: str, schema: Schema) -> OnlineStore:
    """The store at `connection`, the content of ONLINE_STORE; nothing is opened before it is used.

    Raises ValueError for what is no connection string.
    """
    given = options(connection)
    pool = BlockingConnectionPool(
        connection_class=SSLConnection if given.pop("ssl", False) else Connection,
        **given,
        max_connections=_CONNECTIONS,
        timeout=_SECONDS,
        socket_timeout=_SECONDS,
        socket_connect_timeout=_SECONDS,
        # Once, for a connection that the server closed while it was idle.
        retry=Retry(NoBackoff(), 1),
    )
    return OnlineStore(pool, project(model), key, schema)


def _plain(value: str) -> object:
    # As Feast reads it: what parses as JSON is what it says, and a password rarely does.
    try:
        return json.loads(value)
    except ValueError:
        return value


def _value_class() -> Any:  # noqa: ANN401 - a class made here
    """Feast's `Value` message, the three kinds of it that schemas have."""
    generated: Any = descriptor_pb2  # made at import, so no type checker sees what is in it
    kinds = generated.FieldDescriptorProto
    file = generated.FileDescriptorProto(name="ferry/value.proto", package="ferry")
    file.syntax = "proto3"
    message = file.message_type.add(name="Value")
    message.oneof_decl.add(name="val")
    numbers: Mapping[str, tuple[int, Any]] = {
        "string_val": (2, kinds.TYPE_STRING),
        "int64_val": (4, kinds.TYPE_INT64),
        "double_val": (5, kinds.TYPE_DOUBLE),
    }
    for name, (number, kind) in numbers.items():
        message.field.add(name=name, number=number, type=kind, label=1, oneof_index=0)
    pool: Any = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("ferry.Value"))


_Value = _value_class()


def _decode(content: bytes | None, feature: Feature) -> object:
    """The stored value if it is of the feature's type, else None."""
    if content is None:
        return None
    try:
        message = _Value.FromString(content)
    except DecodeError:
        return None
    if isinstance(feature, Category):
        wanted = "string_val"
    else:
        wanted = "int64_val" if feature.integer else "double_val"
    return getattr(message, wanted) if message.WhichOneof("val") == wanted else None
