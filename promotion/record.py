"""A record of the ledger: one attempt to move a release, and the chain that records form."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self, overload

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic import ValidationError as Invalid

from infra.outputs import ServedRelease
from infra.settings import Commit, Digest, Environment, ModelName, Pin
from promotion.refusals import GateRefused
from promotion.release import canonical, digest

FORMAT = 1
START = "sha256:" + "0" * 64
"""What the first record has for `previous`."""

Action = Literal["promote", "pin", "unpin", "rollback", "deliver", "approve", "delete"]
Outcome = Literal[
    "moved", "refused", "conflict", "live", "rolled-back", "failed", "approved", "nothing"
]


def _utc(time: datetime) -> datetime:
    if time.utcoffset() != timedelta(0):
        raise ValueError("a time in UTC")
    return time


def _encodable(text: Any) -> Any:  # noqa: ANN401 - pydantic judges what is no text
    """What a program printed may hold half of a character; a record must not fail over it."""
    return text.encode(errors="replace").decode() if isinstance(text, str) else text


def _finite(value: Any) -> Any:  # noqa: ANN401
    """NaN and infinity are no JSON, and an attempt that saw them is recorded all the same."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


Text = Annotated[str, BeforeValidator(_encodable)]
Seen = Annotated[bool | int | float | Text | None, BeforeValidator(_finite)]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Moved(_Frozen):
    """A release as far as the ledger names it: what `release.json` at `evidence` says more of."""

    version: Annotated[int, Field(ge=1)]
    image: Digest
    weights: Digest
    evidence: Digest

    @overload
    @classmethod
    def of(cls, found: Pin | ServedRelease) -> Self: ...
    @overload
    @classmethod
    def of(cls, found: Pin | ServedRelease | None) -> Self | None: ...
    @classmethod
    def of(cls, found: Pin | ServedRelease | None) -> Self | None:
        """What a stack file pins, or a stack serves; None for nothing."""
        if found is None:
            return None
        return cls.model_validate({name: getattr(found, name) for name in cls.model_fields})


class Gate(_Frozen):
    """One gate's verdict with the number that it saw, the bound it wanted, and why in words."""

    name: Text
    passed: bool
    saw: Seen = None
    wanted: Seen = None
    text: Text = ""


class Record(_Frozen):
    """One attempt. `previous` is the digest of the line before it, with its newline.

    `at` is never earlier than the record's before: where two records have the same time, the
    clock of the second one's writer was behind.
    """

    format: Literal[1] = FORMAT
    sequence: Annotated[int, Field(ge=1)]
    previous: Digest
    at: Time
    stack: Environment
    model: ModelName
    action: Action
    who: Text
    commit: Commit | None
    before: Moved | None
    after: Moved | None
    gates: tuple[Gate, ...]
    outcome: Outcome
    reason: Text | None

    @property
    def tried(self) -> Moved | None:
        """The release that the attempt was about, whether it was put back or not."""
        return self.before if self.outcome == "rolled-back" else self.after

    def line(self) -> bytes:
        """Canonical JSON with its newline: the bytes that the chain and the mirror hold."""
        return canonical(self.model_dump(mode="json"))


def read(line: bytes) -> Record | None:
    """The record of one whole line; None when these are not the bytes that `line()` gives."""
    try:
        found = Record.model_validate_json(line)
        return found if found.line() == line else None
    except (Invalid, ValueError):
        return None


def next_time(previous: datetime | None, now: datetime | None = None) -> datetime:
    """`now`, or the time before where the clock stands earlier: time never runs backwards."""
    now = (now or datetime.now(UTC)).astimezone(UTC)
    return now if previous is None else max(now, previous)


def chain(lines: Sequence[bytes], stack: str) -> list[Record]:
    """The records of a ledger's lines, each ending in a newline.

    Raises `GateRefused` that names the first line that is not what was appended. What was cut off
    at the end, or written anew at the last line, no later line vouches for: see `mirror`.
    """
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        found = read(line)
        if found is None:
            how = "it is no whole record" if not line.endswith(b"\n") else "it is no record"
            raise _broken(stack, number, f"{how}: it was altered or cut short")
        if found.sequence > number:
            gap = f"{number} to {found.sequence - 1}" if found.sequence - 1 > number else number
            raise _broken(
                stack, number, f"it holds record {found.sequence}: {gap} was removed or moved"
            )
        if found.sequence < number:
            raise _broken(
                stack,
                number,
                f"it holds record {found.sequence}, where {number} was due: "
                "a line was inserted, repeated or moved",
            )
        if found.stack != stack:
            raise _broken(stack, number, f"it is a record of stack {found.stack}")
        wanted = digest(lines[number - 2]) if number > 1 else START
        if found.previous != wanted:
            raise _unlinked(stack, lines, number)
        if records and found.at < records[-1].at:
            raise _broken(stack, number, f"its time {found.at:%FT%TZ} is before its predecessor's")
        records.append(found)
    return records


def _unlinked(stack: str, lines: Sequence[bytes], number: int) -> GateRefused:
    """Line `number` does not follow from the one before: one of the two was altered."""
    follower = read(lines[number]) if number < len(lines) else None
    vouched = follower is not None and follower.previous == digest(lines[number - 1])
    if number == 1 or (follower is not None and not vouched):
        return _broken(stack, number, "it was altered: its neighbours do not link to it")
    why = f"it was altered: line {number} follows a line of other bytes"
    if not vouched:
        why += f" (or line {number} itself was, which none follows yet)"
    return _broken(stack, number - 1, why)


def _broken(stack: str, number: int, why: str) -> GateRefused:
    return GateRefused(
        f"ledger/{stack}.jsonl: line {number}: {why}; take the file back from Git or from the "
        "bucket's mirror, and find out who wrote it"
    )
