"""What the commands share: how they print, and exit codes that mean something."""

import json
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

progress = Console(stderr=True, highlight=False)


class Refused(Exception):
    """A check said no; the message names the rule, what was seen and what was wanted."""


@contextmanager
def exit_codes(*unavailable: type[Exception]) -> Generator[None]:
    """Turn `Refused` into exit code 3 and the given errors of dependencies into 5."""
    try:
        yield
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        raise typer.Exit(3) from error
    except unavailable as error:
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            print(f"refused: {error}", file=sys.stderr)
            raise typer.Exit(3) from error
        print(f"unavailable: {error}", file=sys.stderr)
        raise typer.Exit(5) from error


def emit(document: Mapping[str, Any], as_json: bool) -> None:
    """Print the command's result: one JSON document, or one `name: value` line each."""
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for name, value in document.items():
        print(f"{name}: {json.dumps(value) if isinstance(value, dict | list) else value}")
