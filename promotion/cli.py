"""The `ferry` command: thin edges over releases, pins and what a stack serves."""

import os
import shutil
import sys
from collections.abc import Callable, Container
from functools import wraps
from json import loads as parse_json
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec

import typer
from rich.console import Console

from infra.settings import SettingsError
from promotion import build as building
from promotion import health, pins, show
from promotion.models import ModelRegistry
from promotion.refusals import DependencyDown, Refusal, UsageRefused
from promotion.stack import Stack
from promotion.verify import verify as verify_pins

app = typer.Typer(
    name="ferry",
    help="Carry pinned model releases into stacks, and tell what each stack serves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
release = typer.Typer(help="Build and show releases.", no_args_is_help=True)
app.add_typer(release, name="release")

Model = Annotated[str, typer.Argument(help="Name of the model, as in the stack file.")]
StackName = Annotated[str, typer.Option("--stack", "-s", help="Stack to work on.")]
Version = Annotated[
    int | None, typer.Option(help="Registry version; without it the newest candidate.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

P = ParamSpec("P")
_errors = Console(stderr=True, highlight=False)


def refusals(command: Callable[P, None]) -> Callable[P, None]:
    """Turn a refusal into its text and exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except SettingsError as error:
            _stop(str(error), UsageRefused.exit_code)
        except Refusal as refusal:
            _stop(str(refusal), refusal.exit_code)

    return run


def _stop(text: str, code: int) -> NoReturn:
    _errors.print(text, style="red", markup=False)
    raise typer.Exit(code)


def _stack(name: str) -> Stack:
    """The stack of that name in the nearest folder upwards that holds Pulumi.yaml."""
    for directory in (here := Path.cwd(), *here.parents):
        if (directory / "Pulumi.yaml").is_file():
            return Stack(name, directory)
    raise UsageRefused(f"no Pulumi.yaml in {here} or above it; run this inside the project")


def _say(text: str) -> None:
    _errors.print(text, style="dim", markup=False)


@app.command()
@refusals
def check(stack: StackName = "dev", json: Json = False) -> None:
    """Validate a stack file: every complaint at once, with its line. Exit 2 when there is one."""
    at = _stack(stack)
    show.settings(at, at.settings, as_json=json)


@app.command()
@refusals
def verify(stack: StackName = "dev") -> None:
    """Hold every pin against registry, image and evidence. Exit 3 when one differs."""
    at = _stack(stack)
    pinned = at.settings.pins
    if pinned:
        verify_pins(at, pinned)
    _say(f"{at.file.name}: {len(pinned)} pin(s), each as registered, stored and pushed")


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
    at = _stack(stack)
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
    environment = {**os.environ, **_stack(stack).environment()}
    program = shutil.which(command[0])
    if program is None:
        raise UsageRefused(f"there is no command {command[0]!r}")
    sys.stdout.flush()
    os.execvpe(program, command, environment)  # noqa: S606 - replacing this process is the point


@app.command()
@refusals
def pin(model: Model, stack: StackName = "dev", version: Version = None) -> None:
    """Make a built release the one that the stack serves: rewrites its pin, nothing else."""
    at = _stack(stack)
    before = pins.read(at.file, model)
    number = ModelRegistry(at).candidate(model) if version is None else version
    wanted = building.stored(at, model, number).pin()
    verify_pins(at, {model: wanted})
    moved = pins.move(at.file, model, wanted, expected=before)
    _say(
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
    at = _stack(stack)
    if (model is None) != every:
        raise UsageRefused("name one model, or give --all")
    for name in [model] if model else list(at.settings.pins):
        moved = pins.move(at.file, name, None, expected=pins.read(at.file, name))
        _say(f"{at.file.name}: {name} " + ("is no longer pinned" if moved else "had no pin"))


@release.command("build")
@refusals
def release_build(
    model: Model, stack: StackName = "dev", version: Version = None, json: Json = False
) -> None:
    """Build a registered version's image and store its evidence; a built one is left as it is."""
    made, new = building.build(_stack(stack), model, version, _say)
    show.release(made, as_json=json)
    _say(f"{model} version {made.version} " + ("is built" if new else "was built before"))


@release.command("show")
@refusals
def release_show(
    model: Model, stack: StackName = "dev", version: Version = None, json: Json = False
) -> None:
    """The release that a stack pins, or the one of `--version`. Exit 3 when there is none."""
    show.release(building.pinned(_stack(stack), model, version), as_json=json)
