"""Failures: what may be told of a check that failed, and nothing that is one person's own."""

from typing import Any

import numpy as np
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from app.dataset import Dataset

_LONG = 40
_UNCHECKED = "not to be checked: the column is missing or of another type"
"""In place of Great Expectations' own message, which may quote a value."""

_PRIVATE = ("partial_unexpected_list", "partial_unexpected_counts", "partial_unexpected_index_list")


def describe(dataset: Dataset, result: ExpectationSuiteValidationResult) -> list[dict[str, Any]]:
    """What a reader needs of each check that failed."""
    return [_failure(dataset, check) for check in result.results if not check.success]


def strip(result: ExpectationSuiteValidationResult) -> None:
    """Take out what quotes rows, so that documents and pages show counts alone."""
    for check in result.results:
        found = check.result
        for private in _PRIVATE:
            found.pop(private, None)
        if not check.success and "mismatched" not in found.get("details", {}):
            found.pop("details", None)
        if "observed_value" in found:
            found["observed_value"] = _observed(config_of(check), found["observed_value"])
        if _raised(check):
            check.exception_info = {
                "raised_exception": True,
                "exception_message": _UNCHECKED,
                "exception_traceback": "",
            }


def config_of(check: ExpectationValidationResult) -> ExpectationConfiguration:
    if check.expectation_config is None:
        raise TypeError("a result of Great Expectations has no configuration")
    return check.expectation_config


def plain(value: Any) -> Any:  # noqa: ANN401
    """The value as JSON can write it."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _failure(dataset: Dataset, check: ExpectationValidationResult) -> dict[str, Any]:
    config = config_of(check)
    wanted = {key: value for key, value in config.kwargs.items() if key != "batch_id"}
    column = wanted.pop("column", None)
    found = check.result
    observed = found.get("details", {}).get("mismatched")
    observed = observed or _observed(config, found.get("observed_value"))
    if _raised(check):
        observed = _UNCHECKED
    return {
        "expectation": config.type,
        "column": column,
        "unexpected": found.get("unexpected_count"),
        "rows": found.get("element_count"),
        "observed": plain(observed),
        "wanted": {key: _short(plain(value)) for key, value in wanted.items()},
        "examples": [
            {"row": int(row), "value": _described(dataset, column, value)}
            for row, value in zip(
                found.get("partial_unexpected_index_list") or [],
                found.get("partial_unexpected_list") or [],
                strict=False,
            )
        ],
    }


def _described(dataset: Dataset, column: str | None, value: object) -> object:
    """A value that may be shown: a feature's number, and of everything else only its kind."""
    if pd.isna(value):
        return "missing"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if column in dataset.schema.names:
        return plain(value)
    return type(plain(value)).__name__


def _short(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list) and len(value) > _LONG:
        return f"one of {len(value)} values, from {value[0]} to {value[-1]}"
    return value


def _raised(check: ExpectationValidationResult) -> bool:
    # Where a metric fails, the information stands one level deeper, by metric.
    return check.exception_info.get("raised_exception", True)


def _observed(config: ExpectationConfiguration, value: object) -> object:
    """What a check saw: figures over all rows are told, a list of a column's words is not."""
    is_columns_own = "column" in config.kwargs and isinstance(value, list)
    return f"{len(value)} values" if is_columns_own else value
