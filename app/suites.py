"""Suites: each table's expectations as data, and the values they take from its definition.

The old command line of Great Expectations, and what does the same here:
`suite list`            `python -m app.validate suites list`
`suite edit`, `create`  a file `app/expectations/suites/<dataset>.json`, reviewed like code
`suite delete`          deleting that file
`suite run`             `python -m app.validate --model M`, or `suites run`
"""

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from app import console
from app.dataset import Dataset
from app.schema import Category, Number

FOLDER = Path(__file__).parent / "expectations"
"""A file context of Great Expectations: its configuration and the suites."""

_INTEGER = ("int64",)
_NUMBER = ("float64", "int64")


def names() -> list[str]:
    """The tables that have a suite."""
    return sorted(file.stem for file in (FOLDER / "suites").glob("*.json"))


def load(dataset: Dataset) -> dict[str, Any]:
    """The table's suite as Great Expectations reads it.

    Raises `console.Refused` when it has none, or none that can be read.
    """
    file = FOLDER / "suites" / f"{dataset.name}.json"
    if not file.exists():
        raise console.Refused(
            f"{dataset.name} has no expectations; write app/expectations/suites/{file.name}"
        )
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise console.Refused(f"app/expectations/suites/{file.name}: no JSON: {error}") from error


def digest(dataset: Dataset) -> str:
    """`sha256:…` of the suite and the schema it draws on; another digest validates anew."""
    canonical = json.dumps([load(dataset), dataset.schema.document()], sort_keys=True)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def types(dataset: Dataset, table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The pandas types of each column that holds numbers; every other column is text."""
    found = {dataset.key: _INTEGER}
    for feature in dataset.schema.features:
        if isinstance(feature, Number):
            found[feature.name] = _INTEGER if feature.integer else _NUMBER
    # Where an integer is missing, pandas makes floats of the others: missing, not retyped.
    return {
        name: _NUMBER if name in table and _is_gappy(table[name]) else kinds
        for name, kinds in found.items()
    }


def _is_gappy(column: pd.Series) -> bool:
    """Whether these are integers and missing values."""
    if column.dtype != "float64" or not column.hasnans:
        return False
    present = column.dropna()
    return bool((present == present.round()).all())


def columns(dataset: Dataset) -> list[str]:
    """Every column that the table must have, in order."""
    schema = dataset.schema
    return [dataset.key, dataset.time, *dataset.others, *schema.names, schema.target]


def parameters(
    dataset: Dataset, table: pd.DataFrame, day: date, parent_rows: int
) -> dict[str, Any]:
    """What `{"$PARAMETER": …}` in the suite stands for.

    `columns`, `days` (all up to the snapshot's), `fresh_from` (the day before which the newest
    row must not be: as many days before the snapshot's as `freshDays` of the suite's `meta` says,
    0 unless given), `rows`, `parent_rows` (of the snapshot before, 0 for none), and for each
    column `<column>_types`, `<column>_low`, `<column>_high`, `<column>_values` as declared.
    """
    schema = dataset.schema
    past = (day - dataset.first_day).days
    found: dict[str, Any] = {
        "columns": columns(dataset),
        "days": [(dataset.first_day + timedelta(days)).isoformat() for days in range(past + 1)],
        "fresh_from": (day - timedelta(_fresh_days(dataset))).isoformat(),
        "rows": max(len(table), 1),  # it is divided by
        "parent_rows": parent_rows,
        f"{schema.target}_values": [schema.positive, schema.negative],
    }
    found |= {f"{name}_types": list(kinds) for name, kinds in types(dataset, table).items()}
    for feature in schema.features:
        if isinstance(feature, Category):
            found[f"{feature.name}_values"] = list(feature.values)
        else:
            found |= {f"{feature.name}_low": feature.low, f"{feature.name}_high": feature.high}
    return found


def _fresh_days(dataset: Dataset) -> int:
    return load(dataset).get("meta", {}).get("freshDays", 0)
