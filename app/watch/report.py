"""Report: a window beside rows of training, drawn for people, and its figures for machines."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd

from app.reference import SCORE
from app.schema import Category, Schema
from app.watch.drift import Drift, Shift

if TYPE_CHECKING:
    from evidently.legacy.calculations.stattests import StatTest

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
    from evidently.presets import DataDriftPreset

    words = {
        feature.name: feature.values for feature in schema.features if isinstance(feature, Category)
    }
    shifts = {**drift.features, SCORE: drift.score}
    shared = [name for name in shifts if name in before and name in window]
    now, then = (_drawn(table[shared], words) for table in (window, before))
    # Evidently draws no column that has no value at all.
    names = [name for name in shared if now[name].notna().any() and then[name].notna().any()]
    definition = DataDefinition(
        categorical_columns=[name for name in names if name in words],
        numerical_columns=[name for name in names if name not in words],
    )
    preset = DataDriftPreset(
        columns=names,
        drift_share=1 / len(names),
        per_column_method={name: _test(name, shifts[name]) for name in names},
    )
    found = Report([preset]).run(
        Dataset.from_pandas(now[names], definition), Dataset.from_pandas(then[names], definition)
    )
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


def _test(name: str, shift: Shift) -> "StatTest":
    """What Evidently calls a test: it gives what was measured on all rows, by our thresholds."""
    from evidently.legacy.calculations.stattests import StatTest, registry
    from evidently.legacy.core import ColumnType

    test = StatTest(
        name=f"measured {name}",
        display_name=f"PSI above {shift.threshold:.3f}",
        allowed_feature_types=[ColumnType.Categorical, ColumnType.Numerical],
    )
    registry.register_stattest(test, lambda *_: (shift.psi, shift.drifted))
    return test


def _drawn(table: pd.DataFrame, words: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """Some of the rows, the same each time, with no word but the schema's."""
    some = table.sample(min(len(table), _MOST_ROWS), random_state=_SEED).reset_index(drop=True)
    for name in some:
        if name in words:
            some[name] = some[name].where(some[name].isin(words[name]), _OTHER)
        else:
            some[name] = pd.to_numeric(some[name], errors="coerce")
    return some
