"""The request log: what a server has written of the rows that it scored."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from app.watch import join, lines
from app.watch.join import Rows

_Time = Annotated[float, msgspec.Meta(ge=0)]


class Scored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line: one row that was scored."""

    time: _Time
    id: str
    model: str
    version: str
    features: dict[str, str | int | float | None]
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    row: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Its place in its request; logs of servers before this was written have rows alone."""


_decoder = msgspec.json.Decoder(Scored)


def read(content: bytes, model: str, version: str, names: Sequence[str] = ()) -> list[Scored]:
    """The rows of an object.

    Raises `lines.Broken` when one is cut off, of another model or version, or, where `names` are
    given, has other features.
    """
    found = lines.read(content, _decoder)
    for line in found:
        if (line.model, line.version) != (model, version):
            raise lines.Broken(f"a line is of {line.model} {line.version}"[:200])
        if names and line.features.keys() != set(names):
            raise lines.Broken("a line has other features than the model")
    return found


def predictions(scored: Sequence[Scored]) -> Rows:
    """What is to be joined with outcomes, as rows of `join.PREDICTION`."""
    return join.rows(
        join.PREDICTION,
        ((line.id, line.row) for line in scored),
        time=[line.time for line in scored],
        score=[line.score for line in scored],
        version=[int(line.version) for line in scored],
    )
