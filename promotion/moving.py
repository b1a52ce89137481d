"""The commands that move releases: gates, approve, promote, plan, deliver, rollback, delete."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.settings import Pin
from promotion import aliases, commits, ledger, pins, planning, tables
from promotion import deliver as delivering
from promotion import promote as promoting
from promotion import rollback as rolling
from promotion.options import Json, Model, StackName, refusals, say, stack_of
from promotion.record import Gate, Moved
from promotion.refusals import Conflict, GateRefused, UsageRefused
from promotion.stack import Stack
from promotion.tables import document, row, table

To = Annotated[str, typer.Option("--to", help="Stack to move to; it names the one below it.")]
Commit = Annotated[bool, typer.Option("--commit", help="Commit stack file and ledger.")]
Branch = Annotated[
    str | None, typer.Option(metavar="NAME", help="Commit them on this branch instead.")
]


@refusals
def gates(model: Model, to: To, json: Json = False) -> None:
    """Judge what the stack below serves, and move nothing. Exit 3 when a gate refuses it."""
    target = stack_of(to)
    judged = promoting.check(target, model, pins.read(target.file, model), say)
    _gates(judged.gates, json, {"model": model, "stack": to, "release": _release(judged.pin)})
    if judged.failed:
        raise GateRefused(f"{len(judged.failed)} of {len(judged.gates)} gates refuse {model}")


@refusals
def approve(model: Model, stack: StackName, json: Json = False) -> None:
    """Approve for a stack what the one below it pins; recorded in the stack's ledger."""
    target = stack_of(stack)
    release, new = promoting.approve(target, model)
    ledger.mirror_if_reachable(target, say)
    _done(
        json,
        {"model": model, "stack": stack, "release": release.model_dump(), "new": new},
        f"{model} version {release.version} is approved for {stack}" + ("" if new else " already"),
    )


@refusals
def promote(
    model: Model, to: To, commit: Commit = False, branch: Branch = None, json: Json = False
) -> None:
    """Pin what the stack below serves, if every gate agrees. Exit 3 when one does not, 4 when the
    pin moved meanwhile."""
    _one_of(commit, branch)
    target = stack_of(to)
    try:
        made = promoting.promote(target, model, say)
    except (GateRefused, Conflict):
        ledger.mirror_if_reachable(target, say)
        raise
    ledger.mirror_if_reachable(target, say)
    committed = _committed(target, model, commit=commit, branch=branch)
    found = {
        "model": model,
        "from": made.source,
        "to": to,
        "outcome": made.outcome,
        "release": made.release.model_dump(),
        "commit": committed,
    }
    if made.gates:
        _gates(made.gates, json, found)
    elif json:
        document(found)
    moved = made.outcome == "moved"
    say(
        f"{target.file.name}: {model} is pinned to version {made.release.version}"
        + (f"; review the diff, then `ferry deliver --stack {to}`" if moved else " already")
    )


@refusals
def rollback(
    model: Model,
    stack: StackName = "dev",
    version: Annotated[
        int | None, typer.Option(help="Back to this one, which was live, and not to the last.")
    ] = None,
    deliver: Annotated[
        bool, typer.Option(help="Deliver at once, or leave it at the stack file for review.")
    ] = True,
    commit: Commit = False,
    branch: Branch = None,
    json: Json = False,
) -> None:
    """Go back to the release that was live before: weights, code and data together.

    Made again, it changes nothing; --version goes further back.
    """
    _one_of(commit, branch)
    at = stack_of(stack)
    pin, moved = rolling.rollback(at, model, version)
    say(
        f"{at.file.name}: {model} is pinned to version {pin.version}"
        + ("" if moved else " already; `--version` goes further back")
    )
    now = at.reread()
    found: dict[str, Any] = {"model": model, "stack": stack, "release": _release(pin)}
    put_back: Mapping[str, str] = {}
    if deliver:
        delivered = delivering.deliver(now, say, verified={model: pin} if moved else {})
        put_back = delivered.put_back
        found["putBack"] = dict(put_back)
    else:
        ledger.mirror_if_reachable(now, say)
    found["commit"] = _committed(now, model, commit=commit, branch=branch)
    _done(json, found, f"{stack} goes back to {model} version {pin.version}")
    _refuse(stack, put_back)


@refusals
def plan(
    out: Annotated[Path, typer.Option(help="File to write the plan to.")],
    stack: StackName = "dev",
    json: Json = False,
) -> None:
    """Write what an update would do, bound to everything that this depends on, for review."""
    at = stack_of(stack)
    say(f"previewing {stack}")
    made = planning.make(at)
    out.write_bytes(made.document())
    if json:
        print(made.document().decode(), end="")
    else:
        shown = table("operation", "resource")
        for step in made.steps:
            row(shown, step.op, step.urn.split("::", 2)[-1])
        tables.out.print(shown if made.steps else f"an update of {stack} would change nothing")
    say(f"{out}: {len(made.steps)} steps; `ferry deliver --stack {stack} --plan {out}` applies it")


@refusals
def deliver(
    stack: StackName = "dev",
    plan: Annotated[
        Path | None, typer.Option(help="Apply only if nothing moved since this plan was made.")
    ] = None,
    json: Json = False,
) -> None:
    """Bring a stack to its file. Exit 3 when a model failed and serves its former release again."""
    at = stack_of(stack)
    made = delivering.deliver(at, say, planning.Plan.read(plan) if plan else None)
    found = {
        "stack": stack,
        "serves": {model: moved.model_dump() for model, moved in made.serves.items()},
        "recorded": dict(made.recorded),
        "putBack": dict(made.put_back),
    }
    words = [f"{model} version {moved.version}" for model, moved in made.serves.items()]
    _done(json, found, f"{stack} serves {', '.join(words) or 'no model'}")
    _refuse(stack, made.put_back)


@refusals
def release_delete(
    model: Model,
    version: Annotated[int, typer.Option(help="Registry version to delete.")],
    stack: StackName = "dev",
    json: Json = False,
) -> None:
    """Delete a registered version. Exit 3 when a stack pins it."""
    gone = aliases.delete(stack_of(stack), model, version)
    _done(
        json,
        {"model": model, "version": version, "deleted": gone},
        f"{model} version {version} is deleted" + ("" if gone else " already"),
    )


def _committed(stack: Stack, model: str, *, commit: bool, branch: str | None) -> str | None:
    return commits.commit(stack, model, branch) if commit or branch else None


def _one_of(commit: bool, branch: str | None) -> None:
    if commit and branch:
        raise UsageRefused("give --commit or --branch, not both")


def _refuse(stack: str, put_back: Mapping[str, str]) -> None:
    if put_back:
        reasons = [f"  {model}: {reason}" for model, reason in put_back.items()]
        raise GateRefused(
            "\n".join(
                [f"{stack} serves its former release again, since delivery failed:", *reasons]
            )
        )


def _release(pin: Pin | None) -> dict[str, Any] | None:
    moved = Moved.of(pin)
    return moved.model_dump() if moved else None


def _gates(judged: Sequence[Gate], as_json: bool, found: dict[str, Any]) -> None:
    if as_json:
        document({**found, "gates": [gate.model_dump() for gate in judged]})
        return
    shown = table("gate", "", "says")
    for gate in judged:
        row(shown, gate.name, "passes" if gate.passed else "REFUSES", gate.text)
    tables.out.print(shown)


def _done(as_json: bool, found: dict[str, Any], text: str) -> None:
    if as_json:
        document(found)
    else:
        tables.out.print(text, markup=False)
