"""Challenge: a retrained version beside the one that is served, as a report and on the version."""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import mlflow
import typer
from mlflow.exceptions import MlflowException

from app import console, definition, evidence
from app.bucket import UNAVAILABLE, Bucket

ALIAS = "challenger"
_TAG = 500
"""Characters of a reason that a tag keeps."""
_JUDGED_BY = "auc"


def reason(given: str) -> dict[str, Any]:
    """Why a retraining ran, from RETRAIN_REASON: the watch's document, or a person's words."""
    if not given:
        return {"kind": "schedule", "text": "its time had come"}
    try:
        document = json.loads(given)
    except ValueError:
        document = None
    if isinstance(document, dict) and {"kind", "text"} <= document.keys():
        return document
    return {"kind": "asked", "text": given}


def verdict(champion: dict[str, Any] | None) -> str:
    """What the interval of the AUC's difference says: better, worse, or no different.

    Also first, when there was nothing to beat, and incomparable, when it cannot take these rows.
    """
    if champion is None:
        return "first"
    if "differences" not in champion:
        return "incomparable"
    difference = champion["differences"][_JUDGED_BY]
    if difference["low"] > 0:
        return "better"
    return "worse" if difference["high"] < 0 else "no different"


def report(
    job: str, why: dict[str, Any], registered: dict[str, Any], metrics: dict[str, Any], at: float
) -> dict[str, Any]:
    """The document of one retraining; `metrics` is the version's metrics.json."""
    champion = metrics["champion"]
    name, version = registered["model"], registered["version"]
    return {
        "job": job,
        "at": at,
        **why,
        "model": name,
        "version": version,
        "run": registered["run"],
        "data": registered["data"],
        "metrics": metrics["metrics"],
        "champion": champion,
        "verdict": verdict(champion),
        "next": f"ferry release build {name} --version {version}",
    }


def page(found: dict[str, Any]) -> str:
    """The same for people, in Markdown."""
    champion = found["champion"]
    beside = f"version {champion['version']} ({champion['alias']})" if champion else "nothing"
    lines = [
        f"# {found['job']}: {found['model']} version {found['version']}, {found['verdict']}",
        "",
        f"Why: {found['kind']}: {found['text']}",
        f"Rows: `{found['data']['key']}`",
        f"Beside: {beside}, on the same held-out rows; intervals are 95 %.",
        "",
        "| metric | this version | difference |",
        "|---|---|---|",
    ]
    differences = (champion or {}).get("differences", {})
    for name, figure in found["metrics"].items():
        lines.append(f"| {name} | {_interval(figure)} | {_interval(differences.get(name))} |")
    if champion and "incomparable" in champion:
        lines += ["", f"Not comparable: {champion['incomparable']}"]
    if found.get("figures"):
        lines += ["", "| what was seen | figure |", "|---|---|"]
        lines += [f"| {name} | {_told(value)} |" for name, value in _flat(found["figures"])]
    lines += ["", f"No pin was moved. The next step is a person's: `{found['next']}`"]
    return "\n".join(lines) + "\n"


def publish(
    client: mlflow.MlflowClient, bucket: Bucket, registered: dict[str, Any], job: str, given: str
) -> dict[str, Any]:
    """Put the report into the bucket, and what it says onto the version; give the report."""
    name, version = registered["model"], str(registered["version"])
    metrics = mlflow.artifacts.load_dict(
        f"runs:/{registered['run']}/{evidence.FOLDER}/metrics.json"
    )
    found = report(job, reason(given), registered, metrics, round(time.time(), 3))
    champion = found["champion"]
    for tag, value in {
        "ferry.retraining": job,
        "ferry.reason": f"{found['kind']}: {found['text']}"[:_TAG],
        "ferry.champion": str(champion["version"]) if champion else "none",
        "ferry.challenge": found["verdict"],
    }.items():
        client.set_model_version_tag(name, version, tag, value)
    client.set_registered_model_alias(name, ALIAS, version)
    place = f"reports/retraining/{name}/{job}"
    bucket.put(f"{place}.md", page(found).encode(), "text/markdown; charset=utf-8")
    # The last: by it the watch knows that the retraining has ended.
    bucket.put_json(f"{place}.json", found)
    return found


def _interval(figure: dict[str, float] | None) -> str:
    if figure is None:
        return ""
    return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"


def _flat(figures: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names and values; a figure of several parts has a line for each, the largest first."""
    lines: list[tuple[str, Any]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            parts = sorted(value.items(), key=lambda part: part[1], reverse=True)
            lines += [(f"{name} of {part}", each) for part, each in parts]
        else:
            lines.append((name, value))
    return lines


def _told(value: Any) -> str:  # noqa: ANN401 - JSON-like data
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else json.dumps(value)


def main(
    model: definition.Name,
    registered: Annotated[
        Path, typer.Option(help="File that `python -m app.register --json` printed.")
    ],
    as_json: console.AsJson = False,
) -> None:
    """Tell what a retraining found; the Job's name is JOB_NAME, its reason RETRAIN_REASON."""
    with console.exit_codes(*UNAVAILABLE, MlflowException):
        document = json.loads(registered.read_text())
        if document["model"] != definition.find(model).name:
            raise console.Refused(f"{registered} tells of {document['model']}, wanted is {model}")
        job = os.environ.get("JOB_NAME") or f"{model}-by-hand-{int(time.time())}"
        given = os.environ.get("RETRAIN_REASON", "")
        found = publish(mlflow.MlflowClient(), Bucket(), document, job, given)
        if as_json:
            console.emit(found, as_json)
        else:
            print(page(found))


if __name__ == "__main__":
    typer.run(main)
