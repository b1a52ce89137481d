"""Rehearses a stack on AWS: `python -m lab.rehearsal STACK`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lab import paths
from lab.cluster.progress import Progress
from lab.errors import LabError
from lab.rehearsal import remains
from lab.rehearsal.play import acts, part
from lab.rehearsal.stage import stage
from lab.toolchain import ToolchainError


def main(stack: Annotated[str, typer.Argument(help="a stack whose foundation is aws")]) -> None:
    """Make STACK in an empty account that is emulated, change it, and take it down again.

    Nothing of it reaches Amazon, and nothing is left on this machine.
    """
    progress = Progress()
    try:
        _rehearse(stack, progress)
    except (LabError, ToolchainError) as error:
        typer.secho(f"lab: {error}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from None
    progress.say(f"rehearsed {stack} in {progress.seconds:.0f} s; docs/aws.md says what that shows")


def _rehearse(stack: str, progress: Progress) -> None:
    file = paths.repository() / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise LabError(f"{file.name} is missing; step 2 of docs/aws.md has one to begin with")
    played = part(stack, file.read_text())
    with (
        tempfile.TemporaryDirectory(prefix="ferry-rehearsal-") as folder,
        stage(
            Path(folder), account=played.account, region=played.region, copies=played.copies
        ) as on,
    ):
        before = remains.left(on)
        progress.say(f"an emulated account {played.account} and an API server without nodes are up")
        for act in acts(on, played):
            changes = ", ".join(f"{count} {what}" for what, count in act.changes.items())
            progress.say(f"  {act.name:<32}{act.seconds:6.1f} s {act.cpu:6.1f} CPU s  {changes}")
            for echo in act.echoes:
                progress.say(f"    {echo}")
            if act.name.startswith("destroy") and (rest := remains.left(on) - before):
                raise LabError(f"{act.name} left {', '.join(sorted(rest))}")


if __name__ == "__main__":
    typer.run(main)
