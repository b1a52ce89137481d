"""Evidence: everything that training leaves to judge a model by, as files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from app import (
    card,
    console,
    evaluate,
    importance,
    plots,
    privacy,
    reference,
    robustness,
    slices,
)
from app import champion as champions
from app.definition import Definition
from app.serving import model as served

FOLDER = "evidence"
"""Where the files are in a run's artifacts."""

PLOTS_FOLDER = "plots"

OF_TRAINING = (
    "card.html",
    "card.md",
    "contract.json",
    "fairness.json",
    "metrics.json",
    "privacy.json",
    reference.FILE,
)
"""The files that every run has; validation.json is there when the snapshot was validated."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Files by name, and what is in metrics.json."""

    files: dict[str, bytes]
    plots: dict[str, bytes]
    metrics: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Put everything below `folder`, as it is to be among a run's artifacts."""
        for name, files in ((FOLDER, self.files), (PLOTS_FOLDER, self.plots)):
            (folder / name).mkdir()
            for file, content in files.items():
                (folder / name / file).write_bytes(content)


def collect(
    model: Definition,
    table: pd.DataFrame,
    loaded: served.Model,
    source: dict[str, Any],
    champion: champions.Champion | None = None,
    validation: bytes | None = None,
) -> Evidence:
    """Judge the loaded model on the table's held-out rows, from every side.

    `source` is what the card says of data, code and weights: a snapshot's reference, `weights`,
    `commit` and `dirty`. The same arguments give the same bytes.
    """
    scored = evaluate.score(model.dataset, table, loaded)
    mask = evaluate.held_out(model.dataset, table)
    trained_on, held_out = scored.only(~mask), scored.only(mask)
    console.progress.print("explaining the scores")
    explanation = importance.explain(loaded, trained_on.matrix, held_out.matrix)
    console.progress.print("looking at slices, fairness and robustness")
    base_rate = loaded.info.base_rate
    metrics = {
        **evaluate.measure(held_out.labels, held_out.scores, held_out.threshold, base_rate),
        "champion": champions.compare(model, champion, held_out) if champion else None,
        "importance": importance.ranking(explanation),
        "slices": slices.slices(held_out, model.slices),
        "robustness": robustness.robustness(loaded, held_out),
    }
    fairness = slices.fairness(held_out, model.sensitive)
    console.progress.print("attacking its privacy")
    private = {
        "membership_inference": privacy.membership(model.schema, trained_on, held_out),
        "private_baseline": privacy.private_baseline(model.schema, trained_on, held_out),
    }
    drawn = plots.draw(held_out, explanation)
    facts = {
        "source": {
            **source,
            "training_rows": len(trained_on.labels),
            "held_out_rows": len(held_out.labels),
        },
        "metrics": metrics,
        "fairness": fairness,
        "privacy": private,
    }
    files = {
        "metrics.json": _json(metrics),
        "fairness.json": _json(fairness),
        "privacy.json": _json(private),
        "contract.json": _json(contract(loaded)),
        reference.FILE: reference.Reference.of(model.schema, table, held_out.scores).to_json(),
        "card.md": card.markdown(model, facts, {}).encode(),
        "card.html": card.html(
            f"Model card: {model.name}", card.markdown(model, facts, drawn)
        ).encode(),
    }
    if validation is not None:
        files["validation.json"] = validation
    return Evidence(files=files, plots=drawn, metrics=metrics)


def contract(loaded: served.Model) -> dict[str, Any]:
    """What a client and the model agree on: the input's schema and its hash, and the output."""
    return {
        "model": loaded.info.name,
        "schema": loaded.schema.document(),
        "features": loaded.schema.hash(),
        "output": {
            "name": "probability",
            "type": "float32",
            "of": {"column": loaded.schema.target, "value": loaded.schema.positive},
            "threshold": loaded.info.threshold,
        },
    }


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
