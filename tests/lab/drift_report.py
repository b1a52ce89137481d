"""Writes the drift report of a model, of loans with long terms; by the app's Python."""

import sys
from pathlib import Path

from app import definition, fit
from app.reference import SCORE, Reference
from app.watch import drift, report


def main(file: Path, name: str) -> None:
    """The report as HTML into `file`."""
    model = definition.find(name)
    table = model.dataset.load(sample=True)
    matrix = model.schema.from_columns(model.dataset.columns(table))
    fitted = fit.pipeline(model.schema).fit(matrix, model.dataset.labels(table))
    before = table.assign(**{SCORE: fitted.predict_proba(matrix)[:, 1]})
    window = before[before["term"] == "term_60"]
    found = drift.measure(Reference.of(model.schema, before, before[SCORE]), window)
    file.write_text(report.html(model.schema, before, window, found))


if __name__ == "__main__":
    file, name = sys.argv[1:]
    main(Path(file), name)
