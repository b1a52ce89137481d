"""The `ferry` command: thin edges over releases, pins and what a stack serves."""

import os
import shutil
import sys
from collections.abc import Container
from json import loads as parse_json
from pathlib import Path
from typing import Annotated

import typer

from promotion import auditing, health, ledger, moves, moving, pins, restoring, show
from promotion import build as building
from promotion.models import ModelRegistry
from promotion.options import Json, Model, StackName, Version, refusals, say, stack_of
from promotion.refusals import DependencyDown, UsageRefused
from promotion.verify import verify as verify_pins

app = typer.Typer(
    name="ferry",
    help="Carry pinned model releases into stacks, and tell what each stack serves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
release = typer.Typer(help="Build and show releases.", no_args_is_help=True)
app.add_typer(release, name="release")


@app.command()
@refusals
def check(stack: StackName = "dev", json: Json = False) -> None:
    """Validate a stack file: every complaint at once, with its line. Exit 2 when there is one."""
    at = stack_of(stack)
    show.settings(at, at.settings, as_json=json)


@app.command()
@refusals
def verify(stack: StackName = "dev") -> None:
    """Hold every pin against registry, image and evidence. Exit 3 when one differs.

    Exit 4 when the ledger lacks what the bucket has of it: this clone is older than the stack.
    """
    at = stack_of(stack)
    ledger.hold_end(at)
    pinned = at.settings.pins
    if pinned:
        verify_pins(at, pinned)
    say(f"{at.file.name}: {len(pinned)} pin(s), each as registered, stored and pushed")


@app.command()
@refusals
def status(
    stack: StackName = "dev",
    score: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=FILE", help="JSON rows to send to a model's /predict."),
    ] = None,
    wait: Annotated[
        float | None, typer.Option(help="Seconds to ask again in; exit 5 if one stays silent.")
    ] = None,
    json: Json = False,
) -> None:
    """What the stack runs: URLs, pinned releases, and what each model answers."""
    at = stack_of(stack)
    served = at.outputs.models
    models = health.ask(
        served, dict(_rows(served, each) for each in score or ()), patience=wait or 0
    )
    show.status(at, models, as_json=json)
    silent = [name for name, found in models.items() if not found.well]
    if silent and wait is not None:
        raise DependencyDown(f"no answer from {', '.join(silent)} in {wait:g} s; see above")


def _rows(served: Container[str], given: str) -> tuple[str, health.Rows]:
    name, _, file = given.partition("=")
    if name not in served:
        raise UsageRefused(f"--score {given}: the stack serves no model {name!r}; MODEL=FILE")
    try:
        return name, parse_json(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageRefused(f"--score {given}: no rows in the file: {error}") from error


@app.command("exec", context_settings={"ignore_unknown_options": True})
@refusals
def execute(
    command: Annotated[list[str], typer.Argument(help="Command and its arguments, after `--`.")],
    stack: StackName = "dev",
) -> None:
    """Run a command with the stack's MLflow, bucket and registry in its environment."""
    environment = {**os.environ, **stack_of(stack).environment()}
    program = shutil.which(command[0])
    if program is None:
        raise UsageRefused(f"there is no command {command[0]!r}")
    sys.stdout.flush()
    os.execvpe(program, command, environment)  # noqa: S606 - replacing this process is the point


@app.command()
@refusals
def pin(model: Model, stack: StackName = "dev", version: Version = None) -> None:
    """Make a built release the one that the stack serves: rewrites its pin, nothing else."""
    at = stack_of(stack)
    if below := at.settings.platform.below:
        raise UsageRefused(
            f"{stack} takes its releases from {below}; `ferry promote {model} --to {stack}`"
        )
    before = pins.read(at.file, model)
    number = ModelRegistry(at).candidate(model) if version is None else version
    wanted = building.stored(at, model, number).pin()
    verify_pins(at, {model: wanted})
    moved = moves.move(at, model, wanted, expected=before, action="pin")
    ledger.mirror_if_reachable(at, say)
    say(
        f"{at.file.name}: {model} is pinned to version {number}"
        + ("; review the diff, then `pulumi up`" if moved else " already")
    )


@app.command()
@refusals
def unpin(
    model: Annotated[str | None, typer.Argument(help="Model to take out.")] = None,
    stack: StackName = "dev",
    every: Annotated[bool, typer.Option("--all", help="Take every pin out.")] = False,
) -> None:
    """Take a pin out of a stack file: the next `pulumi up` removes that model."""
    at = stack_of(stack)
    if (model is None) != every:
        raise UsageRefused("name one model, or give --all")
    for name in [model] if model else list(at.settings.pins):
        moved = moves.move(at, name, None, expected=pins.read(at.file, name), action="unpin")
        say(f"{at.file.name}: {name} " + ("is no longer pinned" if moved else "had no pin"))


@release.command("build")
@refusals
def release_build(
    model: Model, stack: StackName = "dev", version: Version = None, json: Json = False
) -> None:
    """Build a registered version's image and store its evidence; a built one is left as it is."""
    made, new = building.build(stack_of(stack), model, version, say)
    show.release(made, as_json=json)
    say(f"{model} version {made.version} " + ("is built" if new else "was built before"))


@release.command("show")
@refusals
def release_show(
    model: Model, stack: StackName = "dev", version: Version = None, json: Json = False
) -> None:
    """The release that a stack pins, or the one of `--version`. Exit 3 when there is none."""
    show.release(building.pinned(stack_of(stack), model, version), as_json=json)


for _command in (
    *(moving.gates, moving.promote, moving.approve, moving.plan, moving.deliver, moving.rollback),
    *(auditing.history, auditing.live, auditing.diff, auditing.verify_ledger, auditing.report),
    *(restoring.backups, restoring.restore),
):
    app.command()(_command)
release.command("delete")(moving.release_delete)
