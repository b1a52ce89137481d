"""The `lab` command."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lab import cluster, enginelocks, environment, paths
from lab.cluster import mirror
from lab.cluster.progress import Progress
from lab.errors import LabError
from lab.toolchain import ToolchainError

app = typer.Typer(
    help="The embedded cloud: a real Kubernetes per environment, on this machine.",
    no_args_is_help=True,
    add_completion=False,
)
Name = Annotated[str, typer.Argument(help="the stack the lab serves, e.g. dev")]


@app.command()
def up(name: Name) -> None:
    """Bring the lab up; what is up already stays as it is."""
    with _explained():
        cluster.up(name, Progress())
    for pid in enginelocks.release(paths.state(name) / "pulumi"):
        typer.echo(f"removed the lock of a pulumi that was killed (pid {pid})")


@app.command()
def down(name: Name) -> None:
    """End the lab and remove what it had on the machine; its data stay."""
    with _explained():
        cluster.down(name, Progress())


@app.command()
def purge(name: Name) -> None:
    """End the lab and delete its data."""
    with _explained():
        cluster.purge(name, Progress())


@app.command()
def status(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Say what the lab is doing; exit 1 when it is not running."""
    with _explained():
        found = cluster.status(name)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        Console(soft_wrap=True).print(_table(found))
    if found["state"] not in ("running", "external"):
        raise typer.Exit(1)


@app.command()
def env(name: Name) -> None:
    """Print the lines that put the lab's tools, cluster and state on a shell's path."""
    with _explained():
        variables, notes = environment.environment(name)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(environment.exports(variables), nl=False)


@app.command(name="images")
def build_images() -> None:
    """Build the images that are missing in the mirror's storage."""
    with _explained():
        mirror.fill(Progress().say)


@contextmanager
def _explained() -> Generator[None]:
    """Says an error in one line, and after an interruption how to go on."""
    try:
        yield
    except (LabError, ToolchainError) as error:
        typer.secho(f"lab: {error}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command again goes on; `down` removes", err=True)
        raise typer.Exit(130) from None


def _table(found: dict[str, Any]) -> Table:
    table = Table(title=f"lab {found['name']}: {found['state']}", title_justify="left")
    for heading in ("part", "", "MB"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for key in ("address", "domain", "mirror", "kubeconfig", "folder"):
        if key in found:
            table.add_row(key, found[key], "")
    for part, process in found.get("processes", {}).items():
        table.add_row(part, f"pid {process['pid'] or '-'}", str(process["memory_mb"]))
    for addon, available in found.get("addons", {}).items():
        table.add_row(addon, "available" if available else "not available", "")
    if "pods_memory_mb" in found:
        table.add_row("pods", "", str(found["pods_memory_mb"]))
    return table
