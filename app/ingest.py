"""Ingest: put the rows of a day, or of many, into the versioned bucket as immutable snapshots."""

import datetime
from collections.abc import Generator
from typing import Annotated, Any

import pandas as pd
import typer
from rich.progress import track

from app import console, definition, snapshots
from app.bucket import UNAVAILABLE, Bucket
from app.dataset import Dataset


def ingest(
    bucket: Bucket, dataset: Dataset, day: datetime.date, sample: bool = False
) -> dict[str, Any]:
    """Snapshot every row that had arrived by `day`; the same content again changes nothing."""
    return _snapshot(bucket, dataset, dataset.load(sample=sample), day)


def ingest_days(
    bucket: Bucket,
    dataset: Dataset,
    first: datetime.date,
    last: datetime.date,
    sample: bool = False,
) -> Generator[dict[str, Any]]:
    """Snapshot every day from `first` to `last`, in order; what a stopped run did stays done."""
    table = dataset.load(sample=sample)
    for place in range((last - first).days + 1):
        yield _snapshot(bucket, dataset, table, first + datetime.timedelta(days=place))


def _snapshot(
    bucket: Bucket, dataset: Dataset, table: pd.DataFrame, day: datetime.date
) -> dict[str, Any]:
    arrived = dataset.until(table, day)
    if arrived.empty:
        raise console.Refused(
            f"no row of {dataset.name} had arrived by {day.isoformat()}; "
            f"the first are of {dataset.first_day}"
        )
    manifest, new = snapshots.write(bucket, dataset, arrived, day)
    reference = snapshots.Snapshot.parse(manifest).reference
    return {**reference, "rows": manifest["rows"], "day": manifest["day"], "new": new}


def main(
    model: definition.Name,
    day: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Rows up to this day; else up to the last."),
    ] = None,
    first: Annotated[
        datetime.datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="Also each day from this one on."),
    ] = None,
    sample: Annotated[bool, typer.Option(help="The repository's 400 rows only.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Write data/<dataset>/<day>.parquet and its manifest; print the last day's reference."""
    with console.exit_codes(*UNAVAILABLE):
        dataset = definition.find(model).dataset
        until = day.date() if day else dataset.last_day
        since = first.date() if first else until
        if since > until:
            raise typer.BadParameter(f"{since} is after {until}", param_hint="--from")
        bucket, total = Bucket(), (until - since).days + 1
        done = track(
            ingest_days(bucket, dataset, since, until, sample),
            description=f"{total} days" if total > 1 else "one day",
            total=total,
            console=console.progress,
            disable=total == 1,
        )
        *before, last = done
        written = sum(document["new"] for document in (*before, last))
        console.emit({**last, "days": total, "written": written}, as_json)


if __name__ == "__main__":
    typer.run(main)
