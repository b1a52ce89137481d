"""Validate: a snapshot against its suite; only what passes is trained on, the rest is set aside."""

import io
import json
import mimetypes
import textwrap
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from app import console, definition, quarantine, snapshots, suites, verdict
from app.dataset import Dataset

app = typer.Typer(add_completion=False)
suite_commands = typer.Typer(help="The suites, as they stand in app/expectations/suites.")
app.add_typer(suite_commands, name="suites")

_LISTED = 8


def validate(
    bucket: snapshots.Bucket, dataset: Dataset, snapshot: snapshots.Snapshot
) -> dict[str, Any]:
    """Validate one snapshot and publish what was found; give the verdict.

    A snapshot that was validated by the same suite is not looked at again. The verdict is written
    last, after the data docs and, of a failed one, the quarantine and the signal: an interrupted
    run leaves the snapshot unvalidated.
    """
    suite = suites.digest(dataset)
    before = _said(bucket, snapshot)
    if before and before.get("suite") == suite:
        return before
    content = snapshots.content_of(bucket, snapshot)
    console.progress.print(f"validating {snapshot.key}")
    said: dict[str, Any] = {
        "dataset": dataset.name,
        "day": snapshot.day,
        "snapshot": snapshot.reference,
        "sha256": snapshot.sha256,
        "suite": suite,
        **_examine(bucket, dataset, snapshot, content),
    }
    if said["changes"]:
        said["signal"] = quarantine.signal(bucket, dataset, snapshot, said["changes"])
    if not said["success"]:
        said["quarantine"] = quarantine.put(bucket, dataset, snapshot, content, dict(said))
    bucket.put_json(verdict.key(snapshot.key, snapshot.sha256), said)
    return said


def _examine(
    bucket: snapshots.Bucket, dataset: Dataset, snapshot: snapshots.Snapshot, content: bytes
) -> dict[str, Any]:
    """Success, checks, rows, failures, changes of the schema and the published report."""
    try:
        table = pq.read_table(io.BytesIO(content)).to_pandas()
    except (pa.ArrowException, OSError) as error:
        return _unreadable(error)
    from app import checks  # takes seconds: only where there is something to validate

    parent_rows = _parent_rows(bucket, snapshot, dataset)
    values = suites.parameters(dataset, table, date.fromisoformat(snapshot.day), parent_rows)
    report = checks.run(dataset, table, values, snapshot.day)
    return {
        "success": report.success,
        "checks": report.checks,
        "rows": len(table),
        "failures": report.failures,
        "changes": [] if report.success else quarantine.changes(dataset, table),
        "report": _publish(bucket, dataset, snapshot, report.pages, report.result),
    }


def _unreadable(error: Exception) -> dict[str, Any]:
    failure = {
        "expectation": "a readable Parquet file",
        "column": None,
        "unexpected": None,
        "rows": None,
        "observed": type(error).__name__,
        "wanted": {},
        "examples": [],
    }
    return {
        "success": False,
        "checks": 1,
        "rows": None,
        "failures": [failure],
        "changes": [],
        "report": None,
    }


def _said(bucket: snapshots.Bucket, snapshot: snapshots.Snapshot) -> dict[str, Any] | None:
    """The verdict on exactly this snapshot."""
    found = verdict.parse(bucket.get(verdict.key(snapshot.key, snapshot.sha256)))
    return dict(found.document) if found else None


def _parent_rows(bucket: snapshots.Bucket, snapshot: snapshots.Snapshot, dataset: Dataset) -> int:
    """Rows of the snapshot before, which a later one must at least have; 0 when none is valid."""
    content = bucket.get(f"manifests/{dataset.name}/{snapshot.day}.json")
    manifest = json.loads(content) if content else {}
    if manifest.get("sha256") != snapshot.sha256 or not manifest["parent"]:
        return 0
    said = _said(bucket, snapshots.Snapshot.parse(manifest["parent"]))
    return said.get("rows", 0) if said and said["success"] else 0


def _publish(
    bucket: snapshots.Bucket,
    dataset: Dataset,
    snapshot: snapshots.Snapshot,
    pages: Mapping[str, bytes],
    result: Mapping[str, Any],
) -> str:
    """Put the data docs and the result into the bucket; give the key of the first page."""
    place = f"reports/validation/{dataset.name}/{snapshot.day}/{snapshot.sha256[:12]}"
    for path, content in pages.items():
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        bucket.put(f"{place}/{path}", content, kind)
    bucket.put_json(f"{place}/result.json", result)
    return f"{place}/index.html"


def _refusal(said: dict[str, Any], model: str) -> str:
    lines = [
        f"{said['dataset']} of {said['day']} failed {len(said['failures'])} of "
        f"{said['checks']} checks; it is kept in {said['quarantine']} and not trained on"
    ]
    # What cannot be checked since its column is missing is told once, as a change.
    told = [
        failure
        for failure in said["failures"]
        if f"column {failure['column']} is missing" not in said["changes"]
    ]
    for failure in told[:_LISTED]:
        seen = failure["observed"]
        if failure["rows"] is not None:
            seen = f"{failure['unexpected']} of {failure['rows']} rows"
        rule = failure["expectation"].removeprefix("expect_").replace("_", " ")
        wanted = textwrap.shorten(json.dumps(failure["wanted"]), 80, placeholder=" …")
        lines.append(f"  {failure['column'] or 'the table'}: {rule} {wanted}, found {seen}")
    if len(told) > _LISTED:
        lines.append(f"  and {len(told) - _LISTED} more")
    if said.get("signal"):
        lines.append(f"the schema changed, so retraining is asked for in {said['signal']}:")
        lines += [f"  {change}" for change in said["changes"]]
    lines.append(
        f"correct the data, ingest the day again and run `python -m app.validate --model {model}`"
    )
    return "\n".join(lines)


def _run(model: str, snapshot: Path | None, as_json: bool) -> None:
    with console.exit_codes(*snapshots.UNAVAILABLE):
        dataset = definition.find(model).dataset
        bucket = snapshots.Bucket()
        chosen = snapshots.latest(bucket, dataset, snapshot)
        said = validate(bucket, dataset, chosen)
        if as_json:
            console.emit(said, as_json)
        if not said["success"]:
            raise console.Refused(_refusal(said, model))
        if not as_json:
            names = ("day", "success", "checks", "rows", "report")
            console.emit({name: said[name] for name in names}, as_json)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="The model, as its file in app/models names it.")
    ] = None,
    snapshot: snapshots.File = None,
    as_json: console.AsJson = False,
) -> None:
    """Validate a snapshot, publish the data docs, and set it aside when it fails (exit 3)."""
    if context.invoked_subcommand:
        return
    if model is None:
        raise typer.BadParameter("give a model", param_hint="--model")
    _run(model, snapshot, as_json)


@suite_commands.command("list")
def list_suites(as_json: console.AsJson = False) -> None:
    """The tables that have a suite."""
    names = suites.names()
    if as_json:
        console.emit({"suites": names}, as_json)
    else:
        print("\n".join(names))


@suite_commands.command()
def show(model: definition.Name, as_json: console.AsJson = False) -> None:
    """Each check of a model's table."""
    with console.exit_codes():
        suite = suites.load(definition.find(model).dataset)
        if as_json:
            console.emit(suite, as_json)
            return
        for check in suite["expectations"]:
            given = dict(check["kwargs"])
            of = given.pop("column", "the table")
            print(f"{of}: {check['type']} {json.dumps(given) if given else ''}".rstrip())


@suite_commands.command()
def run(
    model: definition.Name, snapshot: snapshots.File = None, as_json: console.AsJson = False
) -> None:
    """The same as `python -m app.validate --model MODEL`."""
    _run(model, snapshot, as_json)


if __name__ == "__main__":
    app()
