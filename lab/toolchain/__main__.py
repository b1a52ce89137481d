"""`python -m lab.toolchain [NAMES]`: get every tool of the lab, or those named."""

from typing import Annotated

import typer

from lab.toolchain import ToolchainError, debian, ensure


def main(names: Annotated[list[str] | None, typer.Argument(help="tools to get")] = None) -> None:
    """Get every tool of the lab, or those named."""
    try:
        if not names:
            debian()
        ensure(names or None)
    except ToolchainError as error:
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from None


typer.run(main)
