"""Delivery: a stack serves what its file pins, or its file is put back to what the stack serves."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from infra.settings import Pin
from promotion import aliases, dossier, engine, ledger, moves, planning
from promotion.record import Moved, Record
from promotion.refusals import Conflict, DependencyDown, NeverUp
from promotion.stack import Stack
from promotion.verify import verify

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What each model serves now, what changed in the ledger, and what was put back and why."""

    stack: str
    serves: Mapping[str, Moved]
    recorded: Mapping[str, str] = field(default_factory=dict)
    put_back: Mapping[str, str] = field(default_factory=dict)


def deliver(
    stack: Stack,
    say: Say,
    plan: planning.Plan | None = None,
    verified: Mapping[str, Pin] = MappingProxyType({}),
) -> Delivery:
    """Bring the stack to its file. Where a model fails, its former pin is put back, and served.

    First the traces of a killed update are cleared away. A stack that is as its file says is left
    as it is, and nothing is recorded. With `plan`, raises `Conflict` when anything has moved since.
    What this command has `verified` before is not held against the registries again.
    Raises `GateRefused` for a pin that is not as stored, `DependencyDown` when the platform fails.
    """
    with _alone(stack):
        if plan is not None:
            say(f"holding {stack.name} against the plan")
            planning.hold(plan, stack)
        pinned = stack.settings.pins.items()
        _verify(stack, {model: pin for model, pin in pinned if verified.get(model) != pin}, say)
        records = ledger.of(stack).records()
        for model in {*stack.settings.pins, *(each.model for each in records)}:
            moves.settle(stack, model)
        before = {model: _former(stack, records, model) for model in stack.settings.pins}
        if plan is None:
            engine.clear_pending(stack, say)
        say(f"updating {stack.name}")
        ran = engine.up(stack, say)
        put_back: dict[str, str] = {}
        if not ran.ok:
            put_back = _put_back(stack, ran, before, say)
            say(f"updating {stack.name} to what it served before")
            ran = engine.up(stack, say)
            if not ran.ok:
                raise _failed(stack, ran)
        recorded = _record_live(stack)
        now = Stack(stack.name, stack.directory)  # with the outputs of this update
        aliases.mirror(now, say)
        ledger.mirror_if_reachable(now, say)
        serves = {model: Moved.of(pin) for model, pin in now.settings.pins.items()}
        return Delivery(stack=stack.name, serves=serves, recorded=recorded, put_back=put_back)


def _put_back(
    stack: Stack, ran: engine.Ran, before: Mapping[str, Moved | None], say: Say
) -> dict[str, str]:
    """Put the former pin back of each model that failed and has one; raises where none has."""
    tried = stack.settings.pins
    former = {
        model: found
        for model, found in before.items()
        if found is not None and found != Moved.of(tried[model])
    }
    guilty = {model: why for model, why in ran.against(tried).items() if model in former}
    if not guilty:
        raise _failed(stack, ran)
    for model, reason in guilty.items():
        say(f"{model} version {tried[model].version} failed: {reason}")
        pin = dossier.release_of(stack.bucket(), model, former[model]).pin()
        moves.move(
            stack, model, pin, expected=tried[model],
            action="deliver", outcome="rolled-back", reason=reason,
        )  # fmt: skip
    return guilty


def _failed(stack: Stack, ran: engine.Ran) -> DependencyDown:
    """Record whose delivery failed, and give the refusal that says so."""
    book, pinned = ledger.of(stack), stack.reread().settings.pins
    records = book.records()
    waiting = {
        model for model, pin in pinned.items() if moves.live(records, model) != Moved.of(pin)
    }
    guilty = ran.against(pinned)
    for model in sorted(guilty.keys() or waiting):
        book.append(
            model=model,
            action="deliver",
            outcome="failed",
            before=moves.live(records, model),
            after=Moved.of(pinned[model]),
            reason=guilty.get(model, ran.reason),
        )
    return DependencyDown(
        f"the update of {stack.name} failed: {ran.reason}\n"
        f"mend that and run `ferry deliver --stack {stack.name}` again"
    )


def _record_live(stack: Stack) -> dict[str, str]:
    """Record each release that is served since this update, and each that is no longer."""
    book, now = ledger.of(stack), stack.reread().settings.pins
    records = book.records()
    recorded = {}
    for model in sorted({*now, *(record.model for record in records)}):
        served, pinned = moves.live(records, model), Moved.of(now.get(model))
        if served != pinned:
            book.append(model=model, action="deliver", outcome="live", before=served, after=pinned)
            recorded[model] = "live" if pinned else "removed"
    return recorded


def _former(stack: Stack, records: Sequence[Record], model: str) -> Moved | None:
    """What the stack serves of a model, by its ledger or else its outputs."""
    found = moves.live(records, model)
    if found is not None:
        return found
    try:
        served = stack.outputs.models.get(model)
    except NeverUp:
        return None
    return Moved.of(served.release) if served else None


def _verify(stack: Stack, pins: Mapping[str, Pin], say: Say) -> None:
    """Refuse a pin that is not as stored; what is down, the update itself may heal."""
    if not pins:
        return
    try:
        verify(stack, pins)
    except DependencyDown as error:
        say(f"warning: the pins are not verified: {error}")


@contextmanager
def _alone(stack: Stack) -> Generator[None]:
    """No other `ferry deliver` of this user is at this stack; ends with the process."""
    project = (stack.directory / "Pulumi.yaml").read_bytes()
    name = hashlib.sha256(project + stack.name.encode() + str(stack.directory).encode())
    path = Path(tempfile.gettempdir(), f"ferry-{os.getuid()}-{name.hexdigest()[:16]}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another `ferry deliver` is at work on {stack.name}") from None
        yield
    finally:
        os.close(handle)
