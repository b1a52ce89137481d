"""Rollback: a stack's pin goes back to a release that was live, weights, code and data together."""

from collections.abc import Sequence

from infra.settings import Pin
from promotion import dossier, ledger, moves, pins
from promotion.history import SETTLED, previous_live
from promotion.record import Moved, Record
from promotion.refusals import GateRefused
from promotion.stack import Stack
from promotion.verify import verify


def rollback(stack: Stack, model: str, version: int | None = None) -> tuple[Pin, bool]:
    """Pin what was live before the pinned release, or was live as `version`; False when it is so.

    The ledger says what was live; evidence and image must still be the stack's own. Delivery is
    the next step. A pin that a rollback moved last stays where it is, so a call that was killed
    can be made again; beyond it leads a `version`.
    Raises `GateRefused` when there is nothing to go back to.
    """
    book, current = ledger.of(stack), pins.read(stack.file, model)
    records = book.records()
    if version is None:
        to = _before(records, model, Moved.of(current))
    else:
        to = _live_as(records, model, version)
    if to is None:
        refusal = GateRefused(_nothing(stack, records, model, current, version))
        book.append(
            model=model,
            action="rollback",
            outcome="refused",
            before=Moved.of(current),
            reason=str(refusal),
        )
        raise refusal
    if current is not None and to == Moved.of(current) == moves.last_set(records, model):
        return current, False
    pin = dossier.release_of(stack.bucket(), model, to).pin()
    verify(stack, {model: pin})
    return pin, moves.move(stack, model, pin, expected=current, action="rollback")


def _before(records: Sequence[Record], model: str, current: Moved | None) -> Moved | None:
    """What was live before `current`, or `current` itself if a rollback led there."""
    last = moves.last_move(records, model)
    if last is not None and last.after not in (None, current):
        # The record of the last move is missing: it may have been a rollback's.
        back = previous_live(records, model, last.after) == current
    else:
        back = last is not None and last.action == "rollback"
    return current if back else previous_live(records, model, current)


def _live_as(records: Sequence[Record], model: str, version: int) -> Moved | None:
    """The release that was live last under a version."""
    return next(
        (each for each in reversed(_lived(records, model)) if each.version == version), None
    )


def _lived(records: Sequence[Record], model: str) -> list[Moved]:
    """Every release that a delivery made live, oldest first, as often as it became so."""
    return [
        each.after
        for each in records
        if each.model == model and each.outcome in SETTLED and each.after is not None
    ]


def _nothing(
    stack: Stack,
    records: Sequence[Record],
    model: str,
    current: Pin | None,
    version: int | None,
) -> str:
    if version is None:
        now = f"version {current.version}" if current else "no release"
        return (
            f"{stack.name} serves {now} of {model}, and its ledger knows none that was live "
            "before: there is nothing to go back to"
        )
    lived = sorted({each.version for each in _lived(records, model)})
    return f"version {version} of {model} was never live in {stack.name}; those that were: " + (
        ", ".join(map(str, lived)) or "none"
    )
