"""Outcomes: what became of a scored row; checked, and written to the bucket once."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from obstore.store import ObjectStore

from app.watch import join, lines, objects
from app.watch.join import Rows

MOST = 5000
"""Outcomes in one object of the bucket, and in one request."""

_PROBLEMS = 20
_AHEAD_SECONDS = 300
"""By how much a reporter's clock may be ahead of ours."""
_KEY = re.compile(r"/(\d{13})-[0-9a-f]{12}\.jsonl\.gz$")


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a row of a request turned out positive. Nothing else about anybody is taken."""

    id: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
    """Of the request, as its answer's x-request-id had it."""
    outcome: Annotated[int, msgspec.Meta(ge=0, le=1)]
    row: Annotated[int, msgspec.Meta(ge=0, lt=MOST)] = 0
    time: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """When it became known, in Unix seconds; in the bucket always given."""


class Problem(msgspec.Struct, frozen=True):
    """One fault: in which outcome, in which field, and what would have been right."""

    index: int
    field: str
    expected: str


class Invalid(ValueError):
    """Outcomes that are not taken, none of them; lists the first 20 problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems[:_PROBLEMS])
        first = self.problems[0]
        super().__init__(f"outcome {first.index}, {first.field}: expected is {first.expected}")


class Contradiction(Invalid):
    """Outcomes of which some are known already, and known to be otherwise."""


_decoder = msgspec.json.Decoder(Outcome)


def check(given: Sequence[Any], now: float) -> list[Outcome]:
    """Outcomes from plain data, each with a time. Raises `Invalid`."""
    found: list[Outcome] = []
    problems: list[Problem] = []
    said: dict[tuple[str, int], int] = {}
    for index, item in enumerate(given):
        try:
            outcome = msgspec.convert(item, Outcome)
        except msgspec.ValidationError as error:
            problems.append(_problem(index, str(error)))
            continue
        time = now if outcome.time is None else outcome.time
        if time > now + _AHEAD_SECONDS:
            problems.append(Problem(index, "time", "a time that is not to come"))
        elif said.setdefault((outcome.id, outcome.row), outcome.outcome) != outcome.outcome:
            problems.append(Problem(index, "outcome", "the same for the same id and row"))
        found.append(msgspec.structs.replace(outcome, time=time))
    if problems:
        raise Invalid(problems)
    return found


def unknown(found: Sequence[Outcome], known: Rows) -> list[Outcome]:
    """The outcomes that are not known yet.

    The first outcome of a row stands: figures that people have seen do not change behind them, and
    a repeated report is no news. Raises `Contradiction` for one that says otherwise.
    """
    places = join.find(known, join.keys((each.id, each.row) for each in found))
    otherwise = [
        Problem(index, "outcome", f"{known['outcome'][place]}, as it was reported first")
        for index, (each, place) in enumerate(zip(found, places, strict=True))
        if place >= 0 and known["outcome"][place] != each.outcome
    ]
    if otherwise:
        raise Contradiction(otherwise)
    new = [each for each, place in zip(found, places, strict=True) if place < 0]
    return list({(each.id, each.row): each for each in reversed(new)}.values())[::-1]


def write(bucket: ObjectStore, model: str, found: Sequence[Outcome], now: float) -> Rows:
    """Write at most MOST outcomes as one object, of today; they are durable once this returns.

    Gives them as rows of `join.OUTCOME`. The key begins with the time of arrival, so that whoever
    reads the bucket sees which came first. Raises `objects.BaseError`.
    """
    arrived = int(now * 1000)
    content = lines.written(found)
    day = datetime.fromtimestamp(now, UTC).strftime(objects.DAYS)
    digest = hashlib.sha256(content).hexdigest()[:12]
    key = f"labels/{model}/{day}/{arrived:013d}-{digest}.jsonl.gz"
    objects.put(bucket, key, content, "application/gzip")
    return _rows(found, arrived)


def read(key: str, content: bytes) -> Rows:
    """The outcomes of an object, as rows of `join.OUTCOME`; raises `lines.Broken`."""
    arrived = _KEY.search(key)
    if arrived is None:
        raise lines.Broken("its name has no time of arrival")
    return _rows(lines.read(content, _decoder), int(arrived[1]))


def _rows(found: Sequence[Outcome], arrived: int) -> Rows:
    return join.rows(
        join.OUTCOME,
        ((each.id, each.row) for each in found),
        arrived=arrived,
        outcome=[each.outcome for each in found],
    )


def _problem(index: int, message: str) -> Problem:
    # Reads "Expected `int`, got `str` - at `$.row`", or "Object contains unknown field `x`".
    expected, _, place = message.partition(" - at ")
    field = place.strip("`").removeprefix("$").removeprefix(".")
    named = re.search(r"field `([^`]*)`", expected)
    if named and not field:
        field = named[1]
    return Problem(index, field[:64] or "outcome", expected.removeprefix("Expected ")[:120])
