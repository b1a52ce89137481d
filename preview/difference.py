"""How the resources of two recordings differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Recorded = Mapping[str, Any]
_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Change:
    """One property; `before` or `after` is None where it is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """What an update would do to one resource, as far as that can be told without its provider."""

    does: Literal["create", "update", "delete"]
    type: str
    name: str
    changes: tuple[Change, ...] = ()


def steps(before: Sequence[Recorded], after: Sequence[Recorded]) -> list[Step]:
    """The steps from one recording to the other, in the order of the resources."""
    old, new = ({each["urn"]: each for each in side} for side in (before, after))
    found = [_step(each, old.get(urn)) for urn, each in new.items()]
    found += [
        Step(does="delete", type=each["type"], name=each["name"])
        for urn, each in old.items()
        if urn not in new
    ]
    return [step for step in found if step is not None]


def _step(after: Recorded, before: Recorded | None) -> Step | None:
    if before is None:
        return Step(does="create", type=after["type"], name=after["name"])
    changes = tuple(changed(before["props"], after["props"]))
    if before["protect"] != after["protect"]:
        protection = Change(path="protect", before=before["protect"], after=after["protect"])
        changes = (*changes, protection)
    if not changes:
        return None
    return Step(does="update", type=after["type"], name=after["name"], changes=changes)


def changed(before: Any, after: Any, path: str = "") -> Iterator[Change]:  # noqa: ANN401 - JSON
    """The innermost properties that differ."""
    match before, after:
        case dict(), dict():
            for key in sorted(before.keys() | after.keys()):
                inner = f"{path}.{key}" if path else str(key)
                yield from changed(before.get(key, _ABSENT), after.get(key, _ABSENT), inner)
        case list(), list():
            for index in range(max(len(before), len(after))):
                sides = (side[index] if index < len(side) else _ABSENT for side in (before, after))
                yield from changed(*sides, path=f"{path}[{index}]")
        case _ if before != after or type(before) is not type(after):
            yield Change(path=path, before=_shown(before), after=_shown(after))


def _shown(value: Any) -> Any:  # noqa: ANN401 - JSON
    return None if value is _ABSENT else value
