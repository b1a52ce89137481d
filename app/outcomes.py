"""Outcomes in a batch: what became of scored rows, from a table into the bucket, once."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import typer
from obstore.store import ObjectStore

from app import console, definition
from app.definition import Definition
from app.watch import join, lines, objects, outcomes
from app.watch.memory import DAY

_COLUMNS = {"id": pa.string(), "row": pa.int64(), "outcome": pa.int64(), "time": pa.float64()}


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a CSV or Parquet file; an empty row or time is as if it were not there.

    Raises `console.Refused` for a file that is neither.
    """
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
        else:
            options = pyarrow.csv.ConvertOptions(column_types=_COLUMNS, null_values=[""])
            table = pyarrow.csv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        raise console.Refused(f"{path}: cannot be read: {error}") from error
    optional = {"row", "time"}
    return [
        {name: value for name, value in line.items() if value is not None or name not in optional}
        for line in table.to_pylist()
    ]


def known(bucket: ObjectStore, model: Definition, now: float) -> join.Rows:
    """The outcomes of the bucket that may still count, as rows of `join.OUTCOME`.

    Raises `objects.BaseError`. What a watch sets aside is not known here either.
    """
    days = model.watch.maturity_days + model.watch.window_days
    feed = objects.Feed(bucket, f"labels/{model.name}", objects.DAYS)
    parts = [join.none(join.OUTCOME)]
    for key, content in feed.new(now, now - days * DAY):
        try:
            parts.append(outcomes.read(key, content))
        except lines.Broken as error:
            console.progress.print(f"note: {key} is left out: {error}")
    return join.merged(*parts)


def put(
    bucket: ObjectStore, model: Definition, given: list[dict[str, Any]], now: float
) -> dict[str, Any]:
    """Write those that are not known yet; all are checked before the first is written.

    Raises `console.Refused` naming line and field, and `objects.BaseError`. What was written before
    an error stays, and is known the next time.
    """
    try:
        found = outcomes.check(given, now)
        new = outcomes.unknown(found, known(bucket, model, now))
    except outcomes.Contradiction as error:
        raise console.Refused(
            f"nothing is written, for some are known to be otherwise: {error}"
        ) from error
    except outcomes.Invalid as error:
        raise console.Refused(f"nothing is written: {error}") from error
    for part in _parts(new):
        outcomes.write(bucket, model.name, part, now)
    return {"model": model.name, "lines": len(found), "new": len(new)}


def _parts(found: list[outcomes.Outcome]) -> Iterable[list[outcomes.Outcome]]:
    starts = range(0, len(found), outcomes.MOST)
    return (found[start : start + outcomes.MOST] for start in starts)


def main(
    model: definition.Name,
    file: Annotated[Path, typer.Option(help="CSV or Parquet: id, outcome, perhaps row and time.")],
    as_json: console.AsJson = False,
) -> None:
    """Bring outcomes into the bucket, where the model's watch finds them."""
    with console.exit_codes(objects.BaseError):
        found = definition.find(model)
        bucket = objects.store(os.environ)
        console.emit(put(bucket, found, read(file), time.time()), as_json)


if __name__ == "__main__":
    typer.run(main)
