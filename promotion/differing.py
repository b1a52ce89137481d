"""In what two stacks differ: what each pins and serves, field by field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from infra.outputs import ServedModel
from infra.settings import Pin


@dataclass(frozen=True, kw_only=True)
class Side:
    """One stack: its pins, and what its last update left served (None: it has no outputs)."""

    pins: Mapping[str, Pin]
    served: Mapping[str, ServedModel] | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`field` is like `pin.version` or `served.image`; None stands for what is not there."""

    model: str
    field: str
    left: str | int | None
    right: str | int | None


def differences(left: Side, right: Side) -> list[Difference]:
    """Every field in which they differ, by model; a stack without outputs is compared by pins."""
    both = left.served is not None and right.served is not None
    names = {*left.pins, *right.pins, *(left.served or {}), *(right.served or {})}
    return [
        Difference(model=model, field=field, left=mine.get(field), right=theirs.get(field))
        for model in sorted(names)
        for mine, theirs in [(_fields(left, model, both), _fields(right, model, both))]
        for field in dict.fromkeys([*mine, *theirs])
        if mine.get(field) != theirs.get(field)
    ]


def _fields(side: Side, model: str, both: bool) -> dict[str, Any]:
    found = dict(_flat("pin", side.pins.get(model)))
    served = (side.served or {}).get(model) if both else None
    return found | dict(_flat("served", served and served.release))


def _flat(name: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _flat(f"{name}.{field}", getattr(value, field))
    elif value is not None:
        yield name, value
