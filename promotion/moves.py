"""Moving a pin: compare-and-swap in the stack file and its record in the ledger, as one act."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from infra.settings import Pin
from promotion import ledger, pins
from promotion.history import SETTLED
from promotion.locks import held
from promotion.record import Action, Gate, Moved, Outcome, Record
from promotion.refusals import Conflict
from promotion.stack import Stack

_SETS_PIN: tuple[Outcome, ...] = ("moved", "rolled-back")


def move(
    stack: Stack,
    model: str,
    pin: Pin | None,
    *,
    expected: Pin | None,
    action: Action,
    outcome: Outcome = "moved",
    gates: Sequence[Gate] = (),
    reason: str | None = None,
) -> bool:
    """Make `pin` what the stack file says, and record it; False when both were so already.

    Of two that start from the same `expected` one wins; the other's attempt is recorded, and its
    `Conflict` names who was first. Killed between file and ledger, the same call again adds the
    record that is missing; any other call records the pin as found.
    """
    book = ledger.of(stack)
    with _alone(stack):
        records, current = book.records(), pins.read(stack.file, model)
        known = last_set(records, model)
        if current != pin:
            _settle(book, model, current, known)
        try:
            moved = pins.move(stack.file, model, pin, expected=expected)
        except Conflict as conflict:
            text = f"{conflict}; {_winner(book.records(), model, current)}"
            book.append(
                model=model,
                action=action,
                outcome="conflict",
                before=Moved.of(current),
                after=Moved.of(pin),
                gates=gates,
                reason=text,
            )
            raise Conflict(text) from None
        if not moved and Moved.of(pin) == known:
            return False
        book.append(
            model=model,
            action=action,
            outcome=outcome,
            before=Moved.of(expected) if moved else known,
            after=Moved.of(pin),
            gates=gates,
            reason=reason,
        )
        return True


def settle(stack: Stack, model: str) -> None:
    """Record the pin as found where the ledger does not have what last moved it."""
    book = ledger.of(stack)
    with _alone(stack):
        current = pins.read(stack.file, model)
        _settle(book, model, current, last_set(book.records(), model))


def _settle(book: ledger.Ledger, model: str, current: Pin | None, known: Moved | None) -> None:
    if Moved.of(current) == known:
        return
    book.append(
        model=model,
        action="pin" if current else "unpin",
        outcome="moved",
        before=known,
        after=Moved.of(current),
        reason="found in the stack file without a record: written by hand, or by a command that "
        "was killed",
    )


def last_set(records: Sequence[Record], model: str) -> Moved | None:
    """What the ledger says the stack file pins of a model."""
    last = last_move(records, model)
    return last.after if last else None


def last_move(records: Sequence[Record], model: str) -> Record | None:
    """The record of what last moved a model's pin."""
    moved = (each for each in reversed(records) if each.outcome in _SETS_PIN)
    return next((each for each in moved if each.model == model and each.action != "delete"), None)


def live(records: Sequence[Record], model: str) -> Moved | None:
    """What the ledger says the stack serves of a model, by its deliveries."""
    for record in reversed(records):
        if record.model == model and record.action == "deliver" and record.outcome in SETTLED:
            return record.after
    return None


def _winner(records: Sequence[Record], model: str, current: Pin | None) -> str:
    last = last_move(records, model)
    if last is None or last.after != Moved.of(current):
        return "the ledger does not know by whom"
    return f"{last.who} moved it at {last.at:%FT%TZ} (ledger: {last.sequence})"


def _alone(stack: Stack) -> AbstractContextManager[None]:
    """No other command moves a pin of the project meanwhile."""
    # Pins and ledger have a lock each for one write; this one holds both writes together.
    return held(stack.directory / "Pulumi.yaml")
