"""The audit commands of `ferry`: thin edges over a ledger's records."""

import re
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from promotion import ledger, mirroring, reporting, show_history
from promotion.differing import Side, differences
from promotion.history import live_at, of_model
from promotion.ledger import Ledger
from promotion.options import Json, Model, StackName, refusals, say, stack_of
from promotion.refusals import Conflict, DependencyDown, GateRefused, NeverUp, UsageRefused
from promotion.release import digest
from promotion.show_history import Checked
from promotion.stack import Stack, names


@refusals
def history(
    model: Annotated[str | None, typer.Argument(help="One model; without it, all.")] = None,
    stack: StackName = "dev",
    json: Json = False,
) -> None:
    """Every attempt to move a release, oldest first, as the stack's ledger has it."""
    records = ledger.of(_known(stack)).records()
    show_history.history(of_model(records, model) if model else records, as_json=json)


@refusals
def live(
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="RFC 3339, or a date: the end of that day in UTC."),
    ] = None,
    stack: StackName = "dev",
    json: Json = False,
) -> None:
    """What each model served at a time, now by default, and who made it so with which gates."""
    wanted = None if at is None else moment(at)
    records = ledger.of(_known(stack)).records()
    # A ledger may be ahead of this clock, and knows nothing of what is to come.
    present = max([datetime.now(UTC), *(record.at for record in records[-1:])])
    then = min(wanted or present, present)
    show_history.live(stack, then, live_at(records, then), as_json=json)


@refusals
def diff(
    left: Annotated[str, typer.Argument(metavar="A", help="One stack.")],
    right: Annotated[str, typer.Argument(metavar="B", help="The other stack.")],
    json: Json = False,
) -> None:
    """In what two stacks differ: what each pins and serves, field by field."""
    sides = [_side(stack_of(name)) for name in (left, right)]
    served = all(side.served is not None for side in sides)
    show_history.diff(
        left,
        right,
        differences(*sides),
        compared=["pins", "served releases"] if served else ["pins"],
        as_json=json,
    )


@refusals
def verify_ledger(
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Hold each record against the bucket's too.")
    ] = False,
    json: Json = False,
) -> None:
    """Verify the chain of every stack's ledger. Exit 3 when one is broken, naming its line."""
    directory = stack_of("dev").directory
    stacks = {*names(directory), *(found.stack for found in ledger.all_in(directory))}
    found = [_checked(Stack(name, directory), mirror=mirror) for name in sorted(stacks)]
    show_history.checked(found, as_json=json)
    if broken := [each.broken for each in found if each.broken]:
        raise GateRefused("\n".join(broken))


@refusals
def report(
    model: Model,
    stack: StackName = "dev",
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.md, report.html and the plots.")
    ] = None,
    json: Json = False,
) -> None:
    """Report the last move of a model's release: gates, metrics, fairness, deliveries, approvals.

    Without `--out` the Markdown goes to standard output, without plots.
    """
    facts = reporting.collect(_known(stack), model)
    if out is not None:
        for path in reporting.write(facts, out):
            say(f"wrote {path}")
    if json or out is None:
        reporting.show(facts, as_json=json)


def moment(text: str) -> datetime:
    """The instant that `--at` names; raises `UsageRefused`."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return datetime.combine(datetime.fromisoformat(text), time.max, UTC)
        if re.fullmatch(
            r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", text, re.ASCII
        ):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # such as a 30th of February
    raise UsageRefused(
        f"--at {text}: no time; like 2026-11-24T12:00:00Z, or 2026-11-24 for the end of that day"
    )


def _known(name: str) -> Stack:
    """The stack, if it has a file or else a ledger that outlived it."""
    stack = stack_of(name)
    if not ledger.of(stack).path.exists():
        _ = stack.file  # names the stacks that there are
    return stack


def _side(stack: Stack) -> Side:
    try:
        served = stack.outputs.models
    except (NeverUp, DependencyDown) as error:
        say(f"what {stack.name} serves is not compared: {error}")
        served = None
    return Side(pins=stack.settings.pins, served=served)


def _checked(stack: Stack, *, mirror: bool) -> Checked:
    found: Ledger = ledger.of(stack)
    lines = found.lines()
    broken, unmirrored = None, None
    try:
        found.verify()
        if mirror:
            unmirrored = _unmirrored(stack, lines)
    except (GateRefused, Conflict) as refusal:
        broken = str(refusal)
    last = digest(lines[-1]) if lines else None
    return Checked(
        stack=stack.name, records=len(lines), last=last, broken=broken, unmirrored=unmirrored
    )


def _unmirrored(stack: Stack, lines: list[bytes]) -> int | None:
    try:
        bucket = stack.bucket()
    except NeverUp:
        if lines:
            raise
        return None  # neither a bucket nor a record
    return mirroring.compare(bucket, stack.name, lines)
