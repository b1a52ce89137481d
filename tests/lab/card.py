"""Writes the card of a model trained on its sample, with a limit more; by the app's Python."""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from app import commit, definition, evidence, train
from app.dataset import content_digest
from app.serving import model as served


def main(file: Path, name: str, limit: str) -> None:
    """The card as HTML into `file`."""
    model = definition.find(name)
    model = replace(model, limits=(limit, *model.limits))
    table = model.dataset.load(sample=True)
    digest = content_digest(table)
    with TemporaryDirectory() as folder:
        _, made = train.build(model, table, digest, Path(folder))
        loaded = served.load(Path(folder), made["weights"])
    code, dirty = commit.find()
    source = {
        "key": "the sample",
        "versionId": "-",
        "sha256": digest,
        "weights": made["weights"],
        "commit": code,
        "dirty": dirty,
    }
    found = evidence.collect(model, table, loaded, source)
    file.write_bytes(found.files["card.html"])


if __name__ == "__main__":
    file, name, limit = sys.argv[1:]
    main(Path(file), name, limit)
