"""Ingest: put the loans of a day into the versioned bucket as an immutable snapshot."""

from datetime import date, datetime
from typing import Annotated

import typer

from app import console, dataset, snapshots


def ingest(bucket: snapshots.Bucket, day: date, sample: bool = False) -> dict[str, object]:
    """Snapshot every loan that had arrived by `day`; the same content again changes nothing."""
    table = dataset.until(dataset.load(sample=sample), day)
    if table.empty:
        raise console.Refused(
            f"no loan had arrived by {day.isoformat()}; the first are of {dataset.FIRST_DAY}"
        )
    manifest, new = snapshots.write(bucket, table, day)
    reference = snapshots.Snapshot.parse(manifest).reference
    return {**reference, "rows": manifest["rows"], "day": manifest["day"], "new": new}


def main(
    day: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Snapshot of the loans up to this day.")
    ] = datetime(2016, 3, 31),
    sample: Annotated[bool, typer.Option(help="The repository's 400 loans only.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Write data/lending-club/<day>.parquet and its manifest; print the snapshot's reference."""
    with console.exit_codes(*snapshots.UNAVAILABLE):
        console.emit(ingest(snapshots.Bucket(), day.date(), sample), as_json)


if __name__ == "__main__":
    typer.run(main)
