"""What a property can hold beside plain data: secrets, unknowns, assets, outputs, references."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Value = Any
"""None, bool, int, float, str, list, dict[str, Value], or one of the classes below."""


class Unknown:
    """A value that is known only after an update; there is one, `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in state and hides in its display."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True)
class Output:
    """A value with the URNs of the resources it comes from; sent to `Construct` only."""

    value: Value = UNKNOWN
    secret: bool = False
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asset:
    """One file: exactly one of text, path and uri, unless only its hash is left in state."""

    text: str | None = None
    path: str | None = None
    uri: str | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Archive:
    """A tree of files: exactly one of assets, path and uri, unless only its hash is left."""

    assets: Mapping[str, "Asset | Archive"] | None = None
    path: str | None = None
    uri: str | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Reference:
    """Another resource. `id` is None for a component, UNKNOWN before the resource exists."""

    urn: str
    id: str | Unknown | None = None
    package_version: str = ""


def has_unknown(value: Value) -> bool:
    """Whether any part of the value is known only after an update."""
    match value:
        case Unknown():
            return True
        case Secret(inner) | Output(inner):
            return has_unknown(inner)
        case Reference(id=Unknown()):
            return True
        case dict():
            return any(map(has_unknown, value.values()))
        case list():
            return any(map(has_unknown, value))
    return False


def has_secret(value: Value) -> bool:
    """Whether any part of the value is secret."""
    match value:
        case Secret():
            return True
        case Output(inner, secret):
            return secret or has_secret(inner)
        case dict():
            return any(map(has_secret, value.values()))
        case list():
            return any(map(has_secret, value))
    return False


def unwrap(value: Value) -> Value:
    """The same value without secret and output marks; unknowns stay `UNKNOWN`."""
    match value:
        case Secret(inner) | Output(inner):
            return unwrap(inner)
        case dict():
            return {key: unwrap(item) for key, item in value.items()}
        case list():
            return [unwrap(item) for item in value]
    return value


def rewrap(value: Value, like: Value) -> Value:
    """The value with every part marked secret that is secret in `like`, at the same path."""
    match value, like:
        case Secret(), _:
            return value
        case _, Secret() | Output(secret=True):
            return Secret(value)
        case _, Output(inner):
            return rewrap(value, inner)
        case dict(), dict():
            return {
                key: rewrap(item, like[key]) if key in like else item for key, item in value.items()
            }
        case list(), list():
            paired = [rewrap(item, mark) for item, mark in zip(value, like, strict=False)]
            return paired + value[len(paired) :]
    return value
