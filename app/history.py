"""History: which days have a snapshot, and any of them back as a file, byte for byte."""

import datetime
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from app import console, definition, snapshots
from app.bucket import UNAVAILABLE, Bucket

cli = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@cli.command("list")
def list_days(model: definition.Name, as_json: console.AsJson = False) -> None:
    """Print each day and the reference of its snapshot, oldest first."""
    with console.exit_codes(*UNAVAILABLE):
        dataset, bucket = definition.find(model).dataset, Bucket()
        found = snapshots.days(bucket, dataset)
        console.emit(
            {day: snapshots.of_day(bucket, dataset, day).reference for day in found}, as_json
        )


@cli.command()
def read(
    model: definition.Name,
    to: Annotated[Path, typer.Option(help="Parquet file to write.")],
    day: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day's snapshot; else the newest day's."),
    ] = None,
    snapshot: Annotated[
        Path | None,
        typer.Option(help="File with a snapshot's reference, such as one since replaced."),
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Write a day's snapshot to a file, once its bytes are known to be the stated ones."""
    with console.exit_codes(*UNAVAILABLE):
        dataset, bucket = definition.find(model).dataset, Bucket()
        if day is not None and snapshot is not None:
            raise typer.BadParameter("a reference says the day already", param_hint="--day")
        if day is not None:
            found = snapshots.of_day(bucket, dataset, day.date().isoformat())
        else:
            found = snapshots.latest(bucket, dataset, snapshot)
        content = snapshots.content_of(bucket, found)
        try:
            _replace(to, content)
        except OSError as error:
            raise console.Refused(f"{to} cannot be written: {error}") from error
        console.emit({**found.reference, "file": str(to), "bytes": len(content)}, as_json)


def _replace(path: Path, content: bytes) -> None:
    """Write the file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


if __name__ == "__main__":
    cli()
