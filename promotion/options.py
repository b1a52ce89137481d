"""What the commands of `ferry` share: their options, and refusals as exit codes."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec

import typer
from rich.console import Console

from infra.settings import SettingsError
from promotion.refusals import Refusal, UsageRefused
from promotion.stack import Stack

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
    _errors.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def stack_of(name: str) -> Stack:
    """The stack of that name in the nearest folder upwards that holds Pulumi.yaml."""
    for directory in (here := Path.cwd(), *here.parents):
        if (directory / "Pulumi.yaml").is_file():
            return Stack(name, directory)
    raise UsageRefused(f"no Pulumi.yaml in {here} or above it; run this inside the project")


def say(text: str) -> None:
    _errors.print(text, style="dim", markup=False, soft_wrap=True)
