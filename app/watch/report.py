"""Report: a window beside rows of training, drawn for people, and its figures for machines."""

import json
from dataclasses import asdict

import pandas as pd

from app.reference import SCORE
from app.schema import Category, Schema
from app.watch.drift import Drift

_MOST_ROWS = 2000
"""Drawn of each side; the figures are those of all rows."""
_SEED = 20160331
_OTHER = "(none of the schema's)"
# The page brings its scripts, styles and letters along; it may ask nobody for more.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
_HEAD = f'<head>\n<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'


def html(schema: Schema, before: pd.DataFrame, window: pd.DataFrame, drift: Drift) -> str:
    """One page by Evidently: each column as it was and as it is, with the verdicts of `drift`.

    Both tables have the schema's features; `score` is drawn where both have it. Takes some seconds,
    most of them for Evidently's import, and gives some 5 MB, hardly more for more rows. Raises
    ValueError for a window that was too short to be measured.
    """
    if drift.score is None:
        raise ValueError(f"a window of {drift.rows} rows has no figures to report")
    from evidently import DataDefinition, Dataset, Report
    from evidently.core.report import Snapshot
    from evidently.legacy.calculations.stattests import StatTest, registry
    from evidently.legacy.core import ColumnType
    from evidently.presets import DataDriftPreset

    shifts = {**drift.features, SCORE: drift.score}
    names = [name for name in shifts if name in before and name in window]
    words = {
        feature.name: feature.values for feature in schema.features if isinstance(feature, Category)
    }
    definition = DataDefinition(
        categorical_columns=[name for name in names if name in words],
        numerical_columns=[name for name in names if name not in words],
    )
    # Evidently's own tests would judge the drawn rows by thresholds that know no sample size.
    measured = StatTest(
        name="ferry",
        display_name="PSI",
        allowed_feature_types=[ColumnType.Categorical, ColumnType.Numerical],
    )
    registry.register_stattest(
        measured, lambda now, *_: (shifts[now.name].psi, shifts[now.name].drifted)
    )
    preset = DataDriftPreset(
        columns=names,
        drift_share=1 / len(names),
        method=measured,
        per_column_threshold={name: shifts[name].threshold for name in names},
    )
    sides = [
        Dataset.from_pandas(_drawn(table[names], words), definition) for table in (window, before)
    ]
    found = Report([preset]).run(*sides)
    if not isinstance(found, Snapshot):
        raise TypeError("Evidently gave no snapshot")
    return found.get_html_str(as_iframe=False).replace("<head>", _HEAD, 1)


def summary(model: str, version: int, drift: Drift) -> bytes:
    """The figures as JSON."""
    shifts = {**drift.features, **({SCORE: drift.score} if drift.score else {})}
    document = {
        "model": model,
        "version": version,
        "rows": drift.rows,
        "verdict": drift.verdict,
        "drifted": drift.drifted,
        "columns": {
            name: {**asdict(shift), "drifted": shift.drifted} for name, shift in shifts.items()
        },
    }
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def _drawn(table: pd.DataFrame, words: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """Some of the rows, the same each time, with no word but the schema's."""
    some = table.sample(min(len(table), _MOST_ROWS), random_state=_SEED).reset_index(drop=True)
    for name in some:
        if name in words:
            some[name] = some[name].where(some[name].isin(words[name]), _OTHER)
        else:
            some[name] = pd.to_numeric(some[name], errors="coerce")
    return some
