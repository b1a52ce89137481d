"""Predict: score the loans of a file with a model's folder, by the server's own code."""

import csv
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from app import console, features, weights
from app.serving import model as served


def read(path: Path) -> list[dict[str, Any]]:
    """The loans of a `.csv` (columns that are no features are ignored) or `.json` file."""
    try:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                return [features.from_text(row) for row in csv.DictReader(file)]
        rows = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]] | dict[str, Any])
    except (OSError, ValueError, msgspec.MsgspecError, csv.Error) as error:
        raise console.Refused(f"{path} cannot be read as loans: {error}") from error
    return rows if isinstance(rows, list) else [rows]


def predict(model: served.Model, rows: list[dict[str, Any]]) -> list[float]:
    """Probability of going bad for each loan.

    Raises `console.Refused` naming row, field and what was expected.
    """
    try:
        return model.score(features.from_rows(rows)).tolist() if rows else []
    except features.InvalidLoans as error:
        raise console.Refused(str(error)) from error


def main(
    loans: Annotated[Path, typer.Argument(help="CSV or JSON file with the loans.")],
    model: Annotated[Path, typer.Option(help="The model's folder.")],
    expected: Annotated[
        str | None, typer.Option("--weights", help="Digest that the model's files must have.")
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Print the probability of going bad for each loan, in the file's order."""
    with console.exit_codes():
        try:
            loaded = served.load(model, expected or weights.digest(model))
        except (served.Unfit, OSError, weights.UnsafeFile) as error:
            raise console.Refused(str(error)) from error
        scores = predict(loaded, read(loans))
        if as_json:
            console.emit({"model": loaded.info.name, "probabilities": scores}, as_json=True)
        else:
            for score in scores:
                print(f"{score:.6f}")


if __name__ == "__main__":
    typer.run(main)
