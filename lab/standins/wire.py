"""Properties as the engine sends them, from and to the values of `lab.standins.values`."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from google.protobuf import struct_pb2

from lab.standins.values import (
    UNKNOWN,
    Archive,
    Asset,
    Output,
    Reference,
    Secret,
    Unknown,
    Value,
)

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"


class _Mark(StrEnum):
    SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (a mark of the protocol)
    OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
    ASSET = "c44067f5952c0a294b673a41bacd8c17"
    ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
    RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"


_UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# The engine sends one mark per type that the value will have.
_UNKNOWNS: Final = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class WireError(ValueError):
    """A value that the engine's protocol cannot carry, or a mark that it does not define."""


def decode(struct: struct_pb2.Struct) -> dict[str, Value]:
    """Properties as Python values. Integral numbers become int. Raises WireError."""
    return {key: _decoded(value) for key, value in struct.fields.items()}


def encode(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Python values as properties; the inverse of `decode`. Raises WireError, naming the key."""
    struct = struct_pb2.Struct()
    _fill(struct, properties, "")
    return struct


def _decoded(value: struct_pb2.Value) -> Value:
    match value.WhichOneof("kind"):
        case "string_value":
            text = value.string_value
            return UNKNOWN if text in _UNKNOWNS else text
        case "number_value":
            number = value.number_value
            return int(number) if float(number).is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_decoded(item) for item in value.list_value.values]
        case "struct_value":
            return _marked(decode(value.struct_value))
    return None


def _marked(fields: dict[str, Value]) -> Value:
    match fields.get(_SIGNATURE):
        case None:
            return fields
        case _Mark.SECRET:
            return Secret(fields.get("value"))
        case _Mark.OUTPUT:
            return Output(
                fields.get("value", UNKNOWN),
                bool(fields.get("secret", False)),
                tuple(fields.get("dependencies") or ()),
            )
        case _Mark.ASSET:
            return Asset(*(_text(fields, key) for key in ("text", "path", "uri", "hash")))
        case _Mark.ARCHIVE:
            rest = (_text(fields, key) for key in ("path", "uri", "hash"))
            return Archive(fields.get("assets"), *rest)
        case _Mark.RESOURCE:
            identity = fields.get("id")
            # The engine sends "" for the id of a resource that is still to be created.
            return Reference(
                fields["urn"],
                UNKNOWN if identity == "" else identity,
                fields.get("packageVersion") or "",
            )
    raise WireError(f"unknown mark {fields[_SIGNATURE]!r} in a property value")


def _text(fields: Mapping[str, Value], key: str) -> str | None:
    return fields.get(key) or ("" if key == "text" and fields.get(key) == "" else None)


def _fill(struct: struct_pb2.Struct, properties: Mapping[str, Value], path: str) -> None:
    for key, item in properties.items():
        if not isinstance(key, str):
            raise WireError(f"{path or 'properties'}: key {key!r} is not a string")
        _put(struct.fields[key], item, f"{path}.{key}" if path else key)


def _put(target: struct_pb2.Value, value: Value, path: str) -> None:
    match value:
        case None:
            target.null_value = struct_pb2.NULL_VALUE
        case bool():
            target.bool_value = value
        case str():
            target.string_value = value
        case int() | float():
            if not math.isfinite(value):
                raise WireError(f"{path}: {value} is no number that JSON has")
            target.number_value = value
        case Mapping():
            target.struct_value.SetInParent()
            _fill(target.struct_value, value, path)
        case list() | tuple():
            target.list_value.SetInParent()
            for index, item in enumerate(value):
                _put(target.list_value.values.add(), item, f"{path}[{index}]")
        case Unknown():
            target.string_value = _UNKNOWN_STRING
        case _:
            _fill(target.struct_value, _marks(value, path), path)


def _marks(value: Value, path: str) -> dict[str, Value]:
    match value:
        case Secret(inner):
            return {_SIGNATURE: _Mark.SECRET, "value": inner}
        case Output(inner, secret, dependencies):
            known: dict[str, Value] = {} if inner is UNKNOWN else {"value": inner}
            marks: dict[str, Value] = {"secret": secret, "dependencies": list(dependencies)}
            marks[_SIGNATURE] = _Mark.OUTPUT
            return marks | known
        case Asset(text, location, uri, digest):
            given = {"text": text, "path": location, "uri": uri, "hash": digest}
            return {_SIGNATURE: _Mark.ASSET, **_present(given)}
        case Archive(assets, location, uri, digest):
            given = {"assets": assets, "path": location, "uri": uri, "hash": digest}
            return {_SIGNATURE: _Mark.ARCHIVE, **_present(given)}
        case Reference(urn, identity, version):
            given = {"id": "" if identity is UNKNOWN else identity}
            return {
                _SIGNATURE: _Mark.RESOURCE,
                "urn": urn,
                "packageVersion": version,
                **_present(given),
            }
    raise WireError(f"{path}: a {type(value).__name__} cannot be sent to the engine")


def _present(fields: dict[str, Value]) -> dict[str, Value]:
    return {key: item for key, item in fields.items() if item is not None}
