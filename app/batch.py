"""Batch: score a whole snapshot with a release's own files, into one Parquet file of the bucket."""

import io
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from mlflow.exceptions import MlflowException
from rich.progress import track

from app import console, definition, fetch, snapshots, weights
from app.bucket import UNAVAILABLE, Bucket
from app.definition import Definition
from app.schema import InvalidRows
from app.serving import model as served

_ROWS = 5000
"""How many rows are converted and scored at once."""


def load(model: Definition, run: str, expected_weights: str) -> served.Model:
    """The model of an MLflow run, checked and tested as a server does.

    Raises `console.Refused` when it is not the model, or not fit to score.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / weights.MODEL_FOLDER
        fetch.fetch(run, expected_weights, folder)
        try:
            found = served.load(folder, expected_weights)
        except served.Unfit as error:
            raise console.Refused(str(error)) from error
    if found.info.name != model.name:
        raise console.Refused(f"run {run} holds {found.info.name}, wanted is {model.name}")
    return found


def score(model: Definition, loaded: served.Model, table: pd.DataFrame) -> pd.DataFrame:
    """Key and probability of each row, in the table's order.

    Raises `console.Refused` naming the first row that a server would refuse: nothing is scored
    around it.
    """
    scores: list[np.ndarray] = []
    known = [name for name in loaded.schema.names if name in table]
    starts = range(0, len(table), _ROWS)
    for start in track(starts, "scoring", console=console.progress, disable=len(starts) < 2):
        rows = table.iloc[start : start + _ROWS]
        try:
            matrix = loaded.schema.from_columns({name: rows[name].tolist() for name in known})
        except InvalidRows as error:
            first = error.problems[0]
            raise console.Refused(
                f"{model.dataset.key} {rows[model.dataset.key].iloc[first.row]}, {first.field}: "
                f"{first.code}, expected is {first.expected}"
            ) from error
        scores.append(loaded.score(matrix))
    probability = np.concatenate(scores) if scores else np.empty(0, np.float32)
    return pd.DataFrame({model.dataset.key: table[model.dataset.key], "probability": probability})


def publish(bucket: Bucket, key: str, scored: pd.DataFrame, facts: dict[str, str]) -> bool:
    """Write the scores, with the facts as the file's metadata; give whether anything was new.

    An object is there whole or not at all, and the same content makes no new version.
    """
    table = pa.Table.from_pandas(scored, preserve_index=False).replace_schema_metadata(facts)
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    present = bucket.get(key)
    if present is not None and _same(present, table):
        return False
    bucket.put(key, out.getvalue(), "application/vnd.apache.parquet")
    return True


def _same(present: bytes, table: pa.Table) -> bool:
    try:
        return pq.read_table(io.BytesIO(present)).equals(table, check_metadata=True)
    except pa.ArrowException:
        return False


def _batch(
    bucket: Bucket, model: Definition, run: str, expected_weights: str, reference: Path | None
) -> dict[str, Any]:
    snapshot = snapshots.chosen(bucket, model, reference)
    loaded = load(model, run, expected_weights)
    scored = score(model, loaded, snapshots.read(bucket, snapshot))
    key = f"reports/batch/{model.name}/{run}/{snapshot.day}.parquet"
    facts = {"model": model.name, "run": run, "weights": expected_weights, **snapshot.reference}
    new = publish(bucket, key, scored, facts)
    probability = scored["probability"].to_numpy(np.float64)
    return {
        "key": key,
        "data": snapshot.reference,
        "rows": len(scored),
        "positive": int(np.count_nonzero(probability >= loaded.info.threshold)),
        "mean": round(float(probability.mean()), 6),
        "new": new,
    }


def main(
    model: definition.Name,
    run: Annotated[str, typer.Option(help="MLflow run of the release.")],
    expected: Annotated[str, typer.Option("--weights", help="Digest of the release's files.")],
    snapshot: snapshots.File = None,
    as_json: console.AsJson = False,
) -> None:
    """Score every row of a snapshot into reports/batch/<model>/<run>/<day>.parquet."""
    with console.exit_codes(*UNAVAILABLE, MlflowException):
        found = definition.find(model)
        console.emit(_batch(Bucket(), found, run, expected, snapshot), as_json)


if __name__ == "__main__":
    typer.run(main)
