"""Validation: CPU seconds of a suite over a large table, beside Great Expectations as it comes.

Run with the app's environment: `app/.venv/bin/python -m benchmarks.validation`.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.data_context import FileDataContext
from rich.console import Console
from rich.table import Table

from app import checks, definition, suites
from app.dataset import Dataset

_COLUMNS = 20
_TIMES = 3
_MILLION = 1_000_000
_OF_VALUES = ("in_set", "between", "unique")

Validate = Callable[[pd.DataFrame], ExpectationSuiteValidationResult]


def main() -> None:
    dataset = definition.find("credit-default").dataset
    loans = dataset.load()
    found = Table("suite", "engine", "rows", "CPU s", "ratio", title="validation")
    for title, columns, small in (
        ("40 checks, 20 columns", suites.columns(dataset)[:_COLUMNS], True),
        ("the whole suite, 25 columns", suites.columns(dataset), False),
    ):
        for rows in (100_000, _MILLION):
            table = _enlarged(dataset, loans, rows)
            with tempfile.TemporaryDirectory() as folder:
                context = checks.open_context(Path(folder) / "context")
                if small:
                    table = table[columns].copy()
                    _reduce(context, dataset, columns)
                peer = _cpu(table, _as_it_comes(context, dataset))
                found.add_row(title, "Great Expectations", f"{rows:,}", f"{peer:.2f}", "")
                for name, given in (("ours", table), ("ours, 3 faults", _faulty(table))):
                    spent = _cpu(given, _ours(context, dataset))
                    ratio = f"{peer / spent:.1f}"
                    found.add_row(title, name, f"{rows:,}", f"{spent:.2f}", ratio)
    Console(width=100).print(found)


def _enlarged(dataset: Dataset, loans: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Rows drawn from the loans, each with a key of its own."""
    drawn = loans.sample(rows, replace=True, random_state=1, ignore_index=True)
    # Copied, so that each column kind is one block, as it comes from a Parquet file.
    return drawn.assign(**{dataset.key: range(1, rows + 1)}).copy()


def _faulty(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    table.loc[5, "int_rate"] = None
    table.loc[6, "term"] = "term_48"
    table.loc[[7, 8], "annual_inc"] = -1.0
    return table


def _reduce(context: FileDataContext, dataset: Dataset, columns: list[str]) -> None:
    """Leave two checks for each column: that nothing is missing, and one of the values."""
    suite = context.suites.get(dataset.name)
    kept = {}
    for check in suite.expectations:
        config = check.configuration
        column = config.kwargs.get("column")
        is_missing = config.type.endswith("not_be_null")
        if column in columns and (is_missing or config.type.endswith(_OF_VALUES)):
            kept.setdefault((column, is_missing), check)
    suite.expectations = list(kept.values())
    suite.save()
    if len(suite.expectations) != 2 * len(columns):
        raise ValueError(f"the suite leaves {len(suite.expectations)} checks, not 40")


def _as_it_comes(context: FileDataContext, dataset: Dataset) -> Validate:
    source = context.data_sources.add_or_update_pandas("peer")
    asset = source.add_dataframe_asset("loans")
    whole = asset.add_batch_definition_whole_dataframe("whole")
    suite = context.suites.get(dataset.name)

    def validate(table: pd.DataFrame) -> ExpectationSuiteValidationResult:
        values = suites.parameters(dataset, table, dataset.last_day, 0)
        batch = whole.get_batch({"dataframe": table})
        return batch.validate(suite, expectation_parameters=values)

    return validate


def _ours(context: FileDataContext, dataset: Dataset) -> Validate:
    def validate(table: pd.DataFrame) -> ExpectationSuiteValidationResult:
        values = suites.parameters(dataset, table, dataset.last_day, 0)
        return checks.validate(context, dataset, table, values)

    return validate


def _cpu(table: pd.DataFrame, validate: Validate) -> float:
    """CPU seconds, user and system, all threads; the median of some runs."""
    spent = []
    for _ in range(_TIMES):
        before = time.process_time()
        validate(table)
        spent.append(time.process_time() - before)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
