"""Ingest: put the rows of a day into the versioned bucket as an immutable snapshot."""

from datetime import date, datetime
from typing import Annotated

import typer

from app import console, definition, snapshots
from app.dataset import Dataset


def ingest(
    bucket: snapshots.Bucket, dataset: Dataset, day: date, sample: bool = False
) -> dict[str, object]:
    """Snapshot every row that had arrived by `day`; the same content again changes nothing."""
    table = dataset.until(dataset.load(sample=sample), day)
    if table.empty:
        raise console.Refused(
            f"no row of {dataset.name} had arrived by {day.isoformat()}; "
            f"the first are of {dataset.first_day}"
        )
    manifest, new = snapshots.write(bucket, dataset, table, day)
    reference = snapshots.Snapshot.parse(manifest).reference
    return {**reference, "rows": manifest["rows"], "day": manifest["day"], "new": new}


def main(
    model: definition.Name,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Rows up to this day; else up to the last."),
    ] = None,
    sample: Annotated[bool, typer.Option(help="The repository's 400 rows only.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Write data/<dataset>/<day>.parquet and its manifest; print the snapshot's reference."""
    with console.exit_codes(*snapshots.UNAVAILABLE):
        dataset = definition.find(model).dataset
        until = day.date() if day else dataset.last_day
        console.emit(ingest(snapshots.Bucket(), dataset, until, sample), as_json)


if __name__ == "__main__":
    typer.run(main)
