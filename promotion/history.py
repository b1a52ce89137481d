"""What a ledger's records say: what was live when and why, and what to go back to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from promotion.record import Moved, Record

SETTLED = ("live", "rolled-back")
"""Outcomes of a delivery after which it is known what answers."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """A release that answered requests, and why it did.

    `delivered` is the record of its delivery, `moved` the one that pinned it before, with the
    gates that it passed; `approvals` are those given to it. `doubt` is a delivery that failed
    since without a verdict: part of the pods may have had another release.
    """

    release: Moved
    delivered: Record
    moved: Record | None
    approvals: tuple[Record, ...]
    doubt: Record | None = None


def of_model(records: Iterable[Record], model: str) -> list[Record]:
    """Every attempt on one model, oldest first."""
    return [record for record in records if record.model == model]


def live_at(records: Iterable[Record], time: datetime) -> dict[str, Live]:
    """What each model served at `time`, that instant included; a model with nothing is left out.

    A delivery that ended serves its `after`, nothing for a removal: of one that ended
    `rolled-back`, `before` was tried and `after` is what the stack file was put back to.
    """
    known = [record for record in records if record.at <= time]
    found: dict[str, Live] = {}
    for place, record in enumerate(known):
        if record.action != "deliver":
            continue
        present = found.get(record.model)
        if record.outcome == "failed":
            if present:
                found[record.model] = replace(present, doubt=record)
        elif record.outcome in SETTLED:
            release = record.after
            if release is None:
                found.pop(record.model, None)
            elif present and present.release == release:  # it has been live all the time
                found[record.model] = replace(present, doubt=None)
            else:
                found[record.model] = _live(release, record, known[:place])
    return found


def _live(release: Moved, delivered: Record, earlier: Sequence[Record]) -> Live:
    about = [each for each in of_model(earlier, delivered.model) if each.after == release]
    moves = [each for each in about if each.outcome == "moved"]
    return Live(
        release=release,
        delivered=delivered,
        moved=moves[-1] if moves else None,
        approvals=tuple(each for each in about if each.outcome == "approved"),
    )


def previous_live(records: Iterable[Record], model: str, before: Moved | None) -> Moved | None:
    """The release to go back to from `before`, what the stack pins now; None when there is none.

    It is what was live when `before` became live. What a rollback left behind is never gone back
    to, so rolling back twice goes two releases back rather than forth again. A `before` that was
    never live goes back to what is.
    """
    served: list[Moved] = []
    move: Record | None = None
    for record in of_model(records, model):
        if record.outcome == "moved" and record.action != "delete":
            move = record
        if record.action != "deliver" or record.outcome not in SETTLED or record.after is None:
            continue
        if served and served[-1] == record.after:
            continue
        back = record.outcome == "rolled-back" or (
            move is not None and move.action == "rollback" and move.after == record.after
        )
        if back and record.after in served:
            del served[_last(served, record.after) + 1 :]
        else:
            served.append(record.after)
    if before is not None and before in served:
        del served[_last(served, before) :]
    return served[-1] if served else None


def _last(served: Sequence[Moved], release: Moved) -> int:
    return max(place for place, each in enumerate(served) if each == release)
