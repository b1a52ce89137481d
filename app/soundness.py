"""Soundness: tables that nothing can be learnt from are refused, with the reason."""

from typing import Any

import pandas as pd

from app import console
from app.definition import Definition
from app.schema import InvalidRows


def check_table(model: Definition, table: pd.DataFrame) -> None:
    """Raises `console.Refused` for repeated keys, a single class, columns that never vary, and
    values that the schema does not allow."""
    schema, dataset = model.schema, model.dataset
    missing = [
        name for name in (dataset.key, *schema.names, schema.target) if name not in table.columns
    ]
    if missing:
        raise console.Refused(f"the table has no column {', '.join(missing)}")
    repeated = table[dataset.key][table[dataset.key].duplicated()].unique()
    if len(repeated):
        raise console.Refused(
            f"{dataset.key}: {len(repeated)} keys stand in several rows, such as {repeated[0]}; "
            "every row needs a key of its own, or it is on both sides of the evaluation"
        )
    classes = sorted(map(str, table[schema.target].unique()))
    if classes != sorted((schema.positive, schema.negative)):
        raise console.Refused(
            f"{schema.target}: the {len(table)} rows are of class {', '.join(classes) or 'none'}; "
            f"wanted are {schema.positive} and {schema.negative}"
        )
    constant = [name for name in schema.names if table[name].nunique(dropna=False) < 2]
    if constant:
        raise console.Refused(
            f"{', '.join(constant)}: the same value in all {len(table)} rows; mend the source, "
            "or take the feature out of the schema"
        )
    try:
        schema.from_columns(dataset.columns(table))
    except InvalidRows as error:
        raise console.Refused(
            f"the table has values that the model cannot take: {error}"
        ) from error


def check_signal(evaluation: dict[str, Any]) -> None:
    """Raises `console.Refused` when the AUC may as well be that of a coin."""
    auc = evaluation["metrics"]["auc"]
    # Written so that NaN is refused too.
    if not auc["low"] > 0.5:
        raise console.Refused(
            f"the AUC on {evaluation['rows']} held-out rows is {auc['value']:.3f}, "
            f"95% interval {auc['low']:.3f} to {auc['high']:.3f}, which does not stay above 0.5: "
            "no better than chance. Are the labels those of these rows?"
        )
