"""Promotion: what the stack below serves is pinned above, once every gate agrees."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from infra.settings import ModelName, Pin
from promotion import copying, dossier, health, ledger, moves, pins
from promotion.below import Below, served
from promotion.dossier import Evidence
from promotion.gates import Wanted, judge
from promotion.record import Gate, Moved, Outcome
from promotion.refusals import Conflict, DependencyDown, GateRefused, NeverUp, UsageRefused
from promotion.stack import Stack

Say = Callable[[str], None]

_PATIENCE = 5  # seconds that a served model may stay silent


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A release of the stack below with every gate's verdict; None where it serves nothing."""

    source: Stack
    pin: Pin | None
    evidence: Evidence | None
    gates: Sequence[Gate]

    @property
    def failed(self) -> list[Gate]:
        return [gate for gate in self.gates if not gate.passed]


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """How an attempt ended, and on what gates."""

    model: str
    source: str
    target: str
    outcome: Literal["moved", "nothing"]
    release: Moved
    gates: Sequence[Gate]


def promote(target: Stack, model: str, say: Say) -> Promotion:
    """Move the target's pin to what the stack below serves; every attempt is in the ledger.

    Evidence and image are in the target before the pin names them, and the pin moves last: killed
    anywhere, the same call again finishes. What is promoted already is no attempt.
    Raises `GateRefused`, `Conflict` (the pin moved meanwhile), `DependencyDown`.
    """
    _named(model)
    source, book = source_of(target), ledger.of(target)
    current = pins.read(target.file, model)
    below = pins.read(source.file, model)
    recorded = moves.last_set(book.records(), model)
    if below is not None and below == current and recorded == Moved.of(current):
        return _ended("nothing", model, source, target, current, ())
    judged = None
    try:
        judged = check(target, model, current, say)
        if judged.failed or judged.pin is None or judged.evidence is None:
            raise GateRefused(_refusal(model, source, target, judged.failed))
        say(f"copying the evidence to {target.name}")
        copying.copy_evidence(judged.evidence, target)
        copying.copy_image(source, target, model, judged.pin.image, f"v{judged.pin.version}", say)
    except (GateRefused, Conflict, DependencyDown, NeverUp) as refusal:
        book.append(
            model=model,
            action="promote",
            outcome=_outcome(refusal),
            before=Moved.of(current),
            after=Moved.of(judged.pin if judged else below),
            gates=judged.gates if judged else (),
            reason=str(refusal),
        )
        raise
    moved = moves.move(
        target, model, judged.pin, expected=current, action="promote", gates=judged.gates
    )
    outcome = "moved" if moved else "nothing"  # of two that move to the same, one did
    return _ended(outcome, model, source, target, judged.pin, judged.gates)


def check(target: Stack, model: str, current: Pin | None, say: Say) -> Judged:
    """Judge what the stack below serves by the target's gates; nothing is written.

    Raises `DependencyDown` when the stack below cannot be asked.
    """
    source = source_of(target)
    say(f"asking {source.name} what it serves of {model}")
    below = _look(source, model)
    standing = served(below)
    if not standing[0].passed or below.pinned is None:
        return Judged(source=source, pin=below.pinned, evidence=None, gates=standing)
    pin = below.pinned
    say(f"reading the evidence of version {pin.version}")
    try:
        evidence = _evidence(source, target, model, pin)
    except GateRefused as forged:
        gates = [*standing, Gate(name="evidence", passed=False, text=str(forged))]
        return Judged(source=source, pin=pin, evidence=None, gates=gates)
    wanted = Wanted(
        model=target.settings.model(model),
        signers=target.settings.platform.signers,
        current=current,
        approvers=approvers(target, model, pin),
        authors=frozenset({ledger.author(target.directory), _commit_author(target, pin)}),
        now=datetime.now(UTC),
    )
    return Judged(source=source, pin=pin, evidence=evidence, gates=judge(evidence, below, wanted))


def approve(target: Stack, model: str) -> tuple[Moved, bool]:
    """Record that who runs this approves what the stack below pins; False when they did before."""
    _named(model)
    source, book = source_of(target), ledger.of(target)
    pin = pins.read(source.file, model)
    if pin is None:
        raise GateRefused(f"{source.file.name} pins no {model}: there is nothing to approve")
    release = Moved.of(pin)
    who = ledger.author(target.directory)
    if who in approvers(target, model, pin):
        return release, False
    book.append(model=model, action="approve", outcome="approved", after=release, who=who)
    return release, True


def approvers(target: Stack, model: str, pin: Pin) -> frozenset[str]:
    """Who approved exactly this release for the target."""
    return frozenset(
        record.who
        for record in ledger.of(target).records()
        if (record.model, record.outcome) == (model, "approved")
        if record.after == Moved.of(pin)
    )


def source_of(target: Stack) -> Stack:
    """The stack that the target takes releases from."""
    below = target.below
    if below is None:
        raise UsageRefused(
            f"{target.file.name} names no platform.below: releases are built for {target.name}, "
            "not promoted to it; `ferry pin` moves its pins"
        )
    return below


def origin_of(stack: Stack) -> Stack:
    """The stack in whose MLflow the releases of `stack` were registered: the lowest below it."""
    seen = [stack.name]
    while (below := stack.below) is not None:
        if below.name in seen:
            raise UsageRefused(
                f"platform.below goes in a circle: {' → '.join([*seen, below.name])}"
            )
        seen.append(below.name)
        stack = below
    return stack


def _look(source: Stack, model: str) -> Below:
    now = source.outputs.models.get(model)
    asked = health.ask({model: now}, {}, patience=_PATIENCE) if now else {}
    return Below(
        stack=source.name,
        pinned=pins.read(source.file, model),
        served=now.release if now else None,
        answers=asked[model].answers if now else f"{source.name} serves no {model}",
        rolling=source.settings.model(model).delivery.kind == "rolling",
        records=[each for each in ledger.of(source).records() if each.model == model],
    )


def _evidence(source: Stack, target: Stack, model: str, pin: Pin) -> Evidence:
    """By digest; its age only where the target asks for one."""
    aged = target.settings.model(model).gates.maximum_age is not None
    made = dossier.stored_at(origin_of(target).bucket(), model, pin.version) if aged else None
    return dossier.read(source.bucket(), model, pin, made=made)


def _commit_author(target: Stack, pin: Pin) -> str:
    """Who wrote the commit that the release was made from; empty where it is not in this clone."""
    done = subprocess.run(
        ["git", "-C", str(target.directory), "log", "-1", "--format=%ae", pin.commit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def _named(model: str) -> None:
    try:
        TypeAdapter(ModelName).validate_python(model)
    except ValidationError as error:
        raise UsageRefused(f"{model!r} is no model's name: {error.errors()[0]['msg']}") from None


def _outcome(refusal: Exception) -> Outcome:
    if isinstance(refusal, GateRefused):
        return "refused"
    return "conflict" if isinstance(refusal, Conflict) else "failed"


def _refusal(model: str, source: Stack, target: Stack, failed: Sequence[Gate]) -> str:
    reasons = [f"  {gate.name}: {gate.text}" for gate in failed]
    return "\n".join([f"{model} may not move from {source.name} to {target.name}:", *reasons])


def _ended(
    outcome: Literal["moved", "nothing"],
    model: str,
    source: Stack,
    target: Stack,
    pin: Pin | None,
    gates: Sequence[Gate],
) -> Promotion:
    return Promotion(
        model=model,
        source=source.name,
        target=target.name,
        outcome=outcome,
        release=Moved.model_validate(Moved.of(pin)),
        gates=gates,
    )
