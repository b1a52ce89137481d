"""Checks: a table against its suite, by Great Expectations; verdict, failures and pages."""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.exceptions import GreatExpectationsError

from app import console, failures, suites
from app.dataset import Dataset

_EXAMPLES = 5
_LARGE = 200_000
"""Rows from which on only what failed is counted: three times less work."""

_BEACON = re.compile(
    rb"<img[^>]*great-expectations-web-assets[^>]*>|https://great-expectations-web-assets[^\"')]*"
)
"""Pictures by which its makers count who opens the pages."""

_DETAILED = {"result_format": "SUMMARY", "partial_unexpected_count": _EXAMPLES}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the suite said of one table; `pages` are the files of the data docs, by path."""

    checks: int
    failures: list[dict[str, Any]]
    result: Mapping[str, Any]
    """Great Expectations' own document, without any row's values."""
    pages: Mapping[str, bytes]

    @property
    def success(self) -> bool:
        return not self.failures


def run(dataset: Dataset, table: pd.DataFrame, parameters: Mapping[str, Any], name: str) -> Report:
    """Validate `table` and render the data docs under the run's `name`.

    Raises `console.Refused` for a suite that Great Expectations does not take.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            context = open_context(Path(folder) / "context")
            _all_taken(context, dataset)
            result = validate(context, dataset, table, parameters)
        except GreatExpectationsError as error:
            raise console.Refused(
                f"app/expectations/suites/{dataset.name}.json: {error}"
            ) from error
        failed = failures.describe(dataset, result)
        failures.strip(result)
        return Report(
            checks=len(result.results),
            failures=failed,
            result=failures.plain(result.to_json_dict()),
            pages=_pages(context, result, name),
        )


def _all_taken(context: gx.data_context.FileDataContext, dataset: Dataset) -> None:
    # A check that it does not know is logged by Great Expectations and then left out.
    declared = Counter(check["type"] for check in suites.load(dataset)["expectations"])
    taken = (check.configuration.type for check in context.suites.get(dataset.name).expectations)
    declared.subtract(taken)
    if left := sorted(+declared):
        raise console.Refused(
            f"app/expectations/suites/{dataset.name}.json: Great Expectations does not take "
            f"{', '.join(left)}; see the error it logged"
        )


def open_context(root: Path) -> gx.data_context.FileDataContext:
    """A file context over a copy of the suites at `root`, which must not exist yet."""
    shutil.copytree(suites.FOLDER, root)
    context = gx.get_context(mode="file", context_root_dir=root)
    for suite in context.suites.all():
        suite.save()  # gives the checks the ids that their results go by
    return context


def validate(
    context: gx.data_context.FileDataContext,
    dataset: Dataset,
    table: pd.DataFrame,
    parameters: Mapping[str, Any],
) -> ExpectationSuiteValidationResult:
    """The result of every check; of a large table in detail only where one failed."""
    suite = context.suites.get(dataset.name)
    source = context.data_sources.add_or_update_pandas("snapshots")
    asset = source.add_dataframe_asset(dataset.name)
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
    values = dict(parameters)
    large = len(table) >= _LARGE
    form = "BOOLEAN_ONLY" if large else _DETAILED
    result = batch.validate(suite, expectation_parameters=values, result_format=form)
    if large and not result.success:
        passed = [check for check in result.results if check.success]
        known = {failures.config_of(check).id for check in passed}
        suite.expectations = [check for check in suite.expectations if check.id not in known]
        failed = batch.validate(suite, expectation_parameters=values, result_format=_DETAILED)
        result.results = passed + failed.results
    for check in result.results:
        check.success = bool(check.success)  # numpy's bool, which the stores cannot write
    return result


def _pages(
    context: gx.data_context.FileDataContext,
    result: ExpectationSuiteValidationResult,
    name: str,
) -> dict[str, bytes]:
    """The data docs, without the pictures that no page shows."""
    identifier = ValidationResultIdentifier(
        expectation_suite_identifier=ExpectationSuiteIdentifier(name=result.suite_name),
        run_id=RunIdentifier(run_name=name, run_time=datetime.now(UTC)),
        batch_identifier=name,
    )
    context.validation_results_store.set(identifier, result)
    context.build_data_docs()
    site = Path(context.root_directory) / "site"
    files = {
        file.relative_to(site).as_posix(): _BEACON.sub(b"", file.read_bytes())
        for file in sorted(site.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }
    text = b"".join(found for path, found in files.items() if path.endswith((".html", ".css")))
    return {
        path: content
        for path, content in files.items()
        if path.endswith(".html") or Path(path).name.encode() in text
    }
