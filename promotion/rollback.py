"""Rollback: a stack's pin goes back to the release before, weights, code and data together."""

from collections.abc import Sequence

from infra.settings import Pin
from promotion import dossier, ledger, moves, pins
from promotion.history import SETTLED, previous_live
from promotion.record import Moved, Record
from promotion.refusals import GateRefused
from promotion.stack import Stack
from promotion.verify import verify


def rollback(stack: Stack, model: str) -> tuple[Pin, bool]:
    """Pin what was live before the pinned release; False when an unfinished rollback did already.

    The ledger says what was live; evidence and image must still be the stack's own. Delivery is
    the next step: killed before its end, the same call again moves nothing and leads to it.
    Raises `GateRefused` when nothing was live before.
    """
    records = ledger.of(stack).records()
    current = pins.read(stack.file, model)
    if current is not None and _unfinished(records, model, current):
        return current, False
    known = moves.last_set(records, model)
    before = previous_live(records, model, Moved.of(current))
    if known not in (None, Moved.of(current)):  # the record of the last move is missing
        interrupted = previous_live(records, model, known)
        before = interrupted if interrupted == Moved.of(current) else before
    if before is None:
        now = f"version {current.version}" if current else "no release"
        refusal = GateRefused(
            f"{stack.name} serves {now} of {model}, and its ledger knows none that was live "
            "before: there is nothing to go back to"
        )
        ledger.of(stack).append(
            model=model,
            action="rollback",
            outcome="refused",
            before=Moved.of(current),
            reason=str(refusal),
        )
        raise refusal
    pin = dossier.release_of(stack.bucket(), model, before).pin()
    verify(stack, {model: pin})
    moves.move(stack, model, pin, expected=current, action="rollback")
    return pin, True


def _unfinished(records: Sequence[Record], model: str, current: Pin) -> bool:
    """Whether the last thing that happened is a rollback to the current pin."""
    last = next(
        (
            record
            for record in reversed(records)
            if record.model == model and record.outcome in ("moved", *SETTLED)
        ),
        None,
    )
    return last is not None and last.action == "rollback" and last.after == Moved.of(current)
