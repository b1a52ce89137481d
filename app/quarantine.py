"""Quarantine: what is kept of a snapshot that failed, and the signal that its schema changed."""

from typing import Any

import pandas as pd

from app import suites
from app.dataset import Dataset
from app.snapshots import Bucket, Snapshot


def changes(dataset: Dataset, table: pd.DataFrame) -> list[str]:
    """How the table's columns differ from the declared ones; a sentence each."""
    declared = suites.columns(dataset)
    found = [f"column {name} is missing" for name in declared if name not in table]
    found += [f"column {name} is new" for name in table if name not in declared]
    types = suites.types(dataset, table)
    for name in declared:
        if name not in table or table[name].isna().all():
            continue
        kind = _kind(table[name])
        wanted = types.get(name, ("text",))
        if kind not in wanted:
            found.append(f"column {name} is {kind}, was {wanted[0]}")
    return found


def put(
    bucket: Bucket, dataset: Dataset, snapshot: Snapshot, content: bytes, verdict: dict[str, Any]
) -> str:
    """Keep the snapshot's bytes and the reasons aside; give the key of the reasons."""
    place = f"quarantine/{dataset.name}/{snapshot.day}/{snapshot.sha256[:12]}"
    bucket.put(f"{place}.parquet", content, "application/vnd.apache.parquet")
    bucket.put_json(f"{place}.json", verdict)
    return f"{place}.json"


def signal(bucket: Bucket, dataset: Dataset, snapshot: Snapshot, changed: list[str]) -> str:
    """Ask for retraining, since the schema is no longer the model's; give the signal's key."""
    key = f"signals/retrain/{dataset.name}/{snapshot.day}.json"
    document = {
        "dataset": dataset.name,
        "day": snapshot.day,
        "reason": "schema change",
        "changes": changed,
        "snapshot": snapshot.reference,
    }
    bucket.put_json(key, document)
    return key


def _kind(column: pd.Series) -> str:
    """The column's pandas type, or what the values of an untyped one are."""
    if column.dtype != object:
        return str(column.dtype)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    return "text" if kind == "string" else kind
