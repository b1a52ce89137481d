"""Register: turn a finished run into a signed version of the model, once its files are verified.

The version gets no alias: the build of its image, which runs its self-test, makes it the candidate.
"""

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
from mlflow.models import Model

from app import console, definition, evidence, fetch, signing, weights
from app.definition import Definition
from app.serving import model as served

TAGS = ("ferry.commit", "ferry.dirty", "ferry.data", "ferry.features", "ferry.weights")

SIGNER = "ferry.signer"


def register(client: mlflow.MlflowClient, model: Definition, run_id: str) -> dict[str, Any]:
    """Register the run's model as a version of `model`, or find the version it already is.

    Raises `console.Refused` when the run is unfinished or its files are not what it was tagged
    with; nothing is registered then.
    """
    name = model.name
    run = client.get_run(run_id)
    model_id = _logged_model(run)
    with tempfile.TemporaryDirectory() as scratch:
        tags = _verified_tags(run, model, model_id, Path(scratch))
        version = _version_of(client, run_id, name)
        new = version is None
        if version is None:
            tags[SIGNER] = _sign(client, run_id, Path(scratch))
            _create_model(client, name)
            # Tags go in with the version: there is no moment in which it exists without them.
            version = client.create_model_version(
                name, f"models:/{model_id}", run_id, tags=tags, model_id=model_id
            )
    number = int(version.version)
    return {
        "model": name,
        "version": number,
        "run": run_id,
        "weights": tags["ferry.weights"],
        "data": json.loads(tags["ferry.data"]),
        "features": tags["ferry.features"],
        "commit": tags["ferry.commit"],
        "dirty": tags["ferry.dirty"] == "true",
        "signer": version.tags[SIGNER],
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


def _verified_tags(run: Run, model: Definition, model_id: str, scratch: Path) -> dict[str, str]:
    """The run's tags, once everything that they say holds; leaves the model in `scratch`."""
    run_id = run.info.run_id
    tags = {tag: run.data.tags[tag] for tag in TAGS}
    features = tags["ferry.features"]
    if features != model.schema.hash():
        raise console.Refused(
            f"run {run_id} was trained with features {features}, "
            f"this code has {model.schema.hash()}; train again, or register from its commit"
        )
    listed = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path=evidence.FOLDER)
    missing = set(evidence.OF_TRAINING) - {Path(file.path).name for file in listed}
    if missing:
        raise console.Refused(
            f"run {run_id} has no {', '.join(sorted(missing))} among its evidence; train again"
        )
    folder = scratch / weights.MODEL_FOLDER
    fetch.fetch(run_id, tags["ferry.weights"], folder)
    try:
        loaded = served.load(folder, tags["ferry.weights"])
    except served.Unfit as error:
        raise console.Refused(str(error)) from error
    if loaded.schema.hash() != features:
        raise console.Refused(
            f"run {run_id} holds weights of features {loaded.schema.hash()}, "
            f"its tag says {features}; train again"
        )
    _check_logged(model_id, folder, loaded, scratch)
    return tags


def _check_logged(model_id: str, folder: Path, loaded: served.Model, scratch: Path) -> None:
    """What MLflow's own clients load must be the same graph, and its signature the same schema."""
    logged = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=str(scratch)))
    if (logged / "model.onnx").read_bytes() != (folder / "model.onnx").read_bytes():
        raise console.Refused(f"models:/{model_id} is another graph than the run's weights")
    signature = Model.load(str(logged)).signature
    names = signature.inputs.input_names() if signature else []
    if tuple(names) != tuple(loaded.schema.names):
        raise console.Refused(
            f"models:/{model_id} has a signature of {', '.join(map(str, names)) or 'no inputs'}; "
            f"the weights' schema {loaded.schema.hash()} has {', '.join(loaded.schema.names)}"
        )


def _sign(client: mlflow.MlflowClient, run_id: str, scratch: Path) -> str:
    """Sign the model in `scratch`, and put the signature among the run's evidence."""
    path = scratch / weights.SIGNATURE
    signer, public = signing.sign(scratch / weights.MODEL_FOLDER, path)
    client.log_artifact(run_id, str(path), evidence.FOLDER)
    if public is not None:
        client.log_text(run_id, public.decode(), f"{evidence.FOLDER}/{weights.PUBLIC_KEY}")
    return signer


def _version_of(client: mlflow.MlflowClient, run_id: str, name: str) -> ModelVersion | None:
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return min(found, key=lambda version: int(version.version), default=None)


def _create_model(client: mlflow.MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def main(
    model: definition.Name,
    run: Annotated[
        str | None, typer.Option(help="Id of the MLflow run to register; else the newest trained.")
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Verify and sign a run's model, and register it."""
    with console.exit_codes(MlflowException):
        client, chosen = mlflow.MlflowClient(), definition.find(model)
        console.emit(register(client, chosen, run or latest(client, chosen.name)), as_json)


if __name__ == "__main__":
    typer.run(main)
