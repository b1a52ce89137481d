"""The differences between two values, by property path."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lab.standins.values import UNKNOWN, Value, unwrap

Path = tuple[str | int, ...]
Kind = Literal["add", "delete", "update"]

_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$]*")


@dataclass(frozen=True)
class Change:
    """How a property changes, and whether the resource must be replaced for it."""

    kind: Kind
    replace: bool = False


@dataclass(frozen=True)
class Difference:
    """A differing part: `old` or `new` is ABSENT where there is none."""

    path: Path
    kind: Kind
    old: Value
    new: Value


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


def differences(
    old: Mapping[str, Value], new: Mapping[str, Value], *, replace: frozenset[str] = frozenset()
) -> dict[str, Change]:
    """Every differing leaf; those under a top-level key in `replace` need a replacement."""
    return {
        written(each.path): Change(each.kind, each.path[0] in replace) for each in walk(old, new)
    }


def walk(old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[Difference]:
    """Every differing leaf; one that is not known yet differs."""
    return _walk((), unwrap(dict(old)), unwrap(dict(new)))


def written(path: Path) -> str:
    """The path as the engine writes it: `spec.ports[0].port`, `metadata.labels["a.b/c"]`."""
    text = ""
    for key in path:
        text = step(text, key)
    return text


def step(path: str, key: str | int) -> str:
    """The path of an element: `a.b`, `a[0]`, or `a["b.c"]` for a key that is no plain word."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN_KEY.fullmatch(key):
        escaped = key.replace('"', r"\"")
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key


def _walk(path: Path, old: Value, new: Value) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _walk((*path, key), old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else ABSENT
            after = new[index] if index < len(new) else ABSENT
            yield from _walk((*path, index), before, after)
    elif old is ABSENT:
        yield Difference(path, "add", old, new)
    elif new is ABSENT:
        yield Difference(path, "delete", old, new)
    elif new is UNKNOWN or type(old) is not type(new) or old != new:
        yield Difference(path, "update", old, new)
