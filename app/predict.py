"""Predict: score the rows of a file with a model's folder, by the server's own code."""

import csv
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from app import console, weights
from app.schema import InvalidRows, Schema
from app.serving import model as served


def read(path: Path, schema: Schema) -> list[dict[str, Any]]:
    """The rows of a `.csv` (columns that are no features are ignored) or `.json` file."""
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                return [schema.from_text(row) for row in csv.DictReader(file)]
        found = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]] | dict[str, Any])
    except (OSError, ValueError, msgspec.MsgspecError, csv.Error) as error:
        raise console.Refused(f"{path} cannot be read as rows: {error}") from error
    return found if isinstance(found, list) else [found]


def predict(model: served.Model, rows: list[dict[str, Any]]) -> list[float]:
    """Probability of the positive class for each row.

    Raises `console.Refused` naming row, field and what was expected.
    """
    try:
        return model.score(model.schema.from_rows(rows)).tolist() if rows else []
    except InvalidRows as error:
        raise console.Refused(str(error)) from error


def main(
    rows: Annotated[Path, typer.Argument(help="CSV or JSON file with the rows.")],
    folder: Annotated[Path, typer.Option(help="Folder with the model's files.")],
    expected: Annotated[
        str | None, typer.Option("--weights", help="Digest that the model's files must have.")
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Print the probability of the positive class for each row, in the file's order."""
    with console.exit_codes():
        try:
            loaded = served.load(folder, expected or weights.digest(folder))
        except (served.Unfit, OSError, weights.UnsafeFile) as error:
            raise console.Refused(str(error)) from error
        scores = predict(loaded, read(rows, loaded.schema))
        if as_json:
            console.emit({"model": loaded.info.name, "probabilities": scores}, as_json=True)
        else:
            for score in scores:
                print(f"{score:.6f}")


if __name__ == "__main__":
    typer.run(main)
