"""Register: turn a finished run into a version of the model, once its files are verified."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import mlflow
import mlflow.artifacts
import typer
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from app import console, definition, fetch, weights
from app.definition import Definition
from app.serving import model as served

ALIAS = "candidate"
TAGS = ("ferry.commit", "ferry.dirty", "ferry.data", "ferry.features", "ferry.weights")


def register(client: mlflow.MlflowClient, model: Definition, run_id: str) -> dict[str, Any]:
    """Register the run's model as a version of `model`, or find the version it already is.

    Raises `console.Refused` when the run is unfinished or its files are not what it was tagged
    with; nothing is registered then.
    """
    name = model.name
    run = client.get_run(run_id)
    model_id = _logged_model(run)
    tags = _verified_tags(run, model, model_id)
    version = _version_of(client, run_id, name)
    new = version is None
    if version is None:
        _create_model(client, name)
        # Tags go in with the version: there is no moment in which it exists without them.
        version = client.create_model_version(
            name, f"models:/{model_id}", run_id, tags=tags, model_id=model_id
        )
    number = int(version.version)
    if number >= _candidate(client, name):
        client.set_registered_model_alias(name, ALIAS, str(number))
    return {
        "model": name,
        "version": number,
        "run": run_id,
        "weights": tags["ferry.weights"],
        "data": json.loads(tags["ferry.data"]),
        "features": tags["ferry.features"],
        "commit": tags["ferry.commit"],
        "dirty": tags["ferry.dirty"] == "true",
        "new": new,
    }


def _logged_model(run: Run) -> str:
    """The id of the model that a finished, tagged run logged."""
    if run.info.status != "FINISHED":
        raise console.Refused(f"run {run.info.run_id} is {run.info.status}, wanted is FINISHED")
    missing = [tag for tag in TAGS if tag not in run.data.tags]
    if missing:
        raise console.Refused(f"run {run.info.run_id} has no {', '.join(missing)}; train again")
    outputs = run.outputs.model_outputs if run.outputs else []
    if len(outputs) != 1:
        raise console.Refused(
            f"run {run.info.run_id} logged {len(outputs)} models, wanted is one; train again"
        )
    return outputs[0].model_id


def latest(client: mlflow.MlflowClient, experiment: str) -> str:
    """The id of the newest run that training finished.

    Raises `console.Refused` when there is none.
    """
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs(
        [found.experiment_id] if found else [],
        "attributes.status = 'FINISHED' and tags.`ferry.weights` LIKE 'sha256:%'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    if not runs:
        raise console.Refused(f"experiment {experiment} has no trained run; `python -m app.train`")
    return runs[0].info.run_id


def _verified_tags(run: Run, model: Definition, model_id: str) -> dict[str, str]:
    tags = {tag: run.data.tags[tag] for tag in TAGS}
    if tags["ferry.features"] != model.schema.hash():
        raise console.Refused(
            f"run {run.info.run_id} was trained with features {tags['ferry.features']}, "
            f"this code has {model.schema.hash()}; train again, or register from its commit"
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, weights.MODEL_FOLDER)
        fetch.fetch(run.info.run_id, tags["ferry.weights"], folder)
        logged = mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=scratch)
        if Path(logged, "model.onnx").read_bytes() != (folder / "model.onnx").read_bytes():
            raise console.Refused(f"models:/{model_id} is another graph than the run's weights")
        try:
            loaded = served.load(folder, tags["ferry.weights"])
        except served.Unfit as error:
            raise console.Refused(str(error)) from error
        if loaded.schema.hash() != tags["ferry.features"]:
            raise console.Refused(
                f"run {run.info.run_id} holds weights of features {loaded.schema.hash()}, "
                f"its tag says {tags['ferry.features']}; train again"
            )
    return tags


def _version_of(client: mlflow.MlflowClient, run_id: str, name: str) -> ModelVersion | None:
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return min(found, key=lambda version: int(version.version), default=None)


def _create_model(client: mlflow.MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _candidate(client: mlflow.MlflowClient, name: str) -> int:
    """The version that is candidate now, or 0: an older run must not take the alias back."""
    alias = client.get_registered_model(name).aliases.get(ALIAS)
    return int(alias) if alias else 0


def main(
    model: definition.Name,
    run: Annotated[
        str | None, typer.Option(help="Id of the MLflow run to register; else the newest trained.")
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Verify a run's model, register it, and make it the candidate."""
    with console.exit_codes(MlflowException):
        client, chosen = mlflow.MlflowClient(), definition.find(model)
        console.emit(register(client, chosen, run or latest(client, chosen.name)), as_json)


if __name__ == "__main__":
    typer.run(main)
