"""Fetch: the model's files of a registered version, verified, as the server reads them."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import mlflow
import mlflow.artifacts
import typer
from mlflow.exceptions import MlflowException

from app import console, definition, safety, weights


def fetch(run_id: str, expected_weights: str, target: Path) -> None:
    """Put the run's model into `target`, an empty or missing folder.

    Raises `console.Refused` when its files do not have the digest `expected_weights`, or are not
    those of a model; `target` is then left as it was.
    """
    if target.exists() and any(target.iterdir()):
        raise console.Refused(f"{target} is not empty")
    with tempfile.TemporaryDirectory() as scratch:
        folder = download(run_id, Path(scratch))
        digest = weights.digest(folder)
        if digest != expected_weights:
            raise console.Refused(
                f"run {run_id} holds weights {digest}, its tag says {expected_weights}"
            )
        safety.check(folder)
        shutil.copytree(folder, target, dirs_exist_ok=True)


def download(run_id: str, into: Path) -> Path:
    """Download a run's model unverified; gives its folder.

    Raises `console.Refused` before that when there is a file that no model has.
    """
    listed = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path=weights.MODEL_FOLDER)
    safety.check_names({Path(file.path).name: file.file_size or 0 for file in listed})
    return Path(
        mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path=weights.MODEL_FOLDER, dst_path=str(into)
        )
    )


def main(
    model: definition.Name,
    version: Annotated[int, typer.Option(help="Registered version.")],
    to: Annotated[Path, typer.Option(help="Empty or new folder for the files.")],
    as_json: console.AsJson = False,
) -> None:
    """Download the files of a registered version and verify their digest."""
    with console.exit_codes(MlflowException):
        found = mlflow.MlflowClient().get_model_version(model, str(version))
        expected = found.tags.get("ferry.weights", "none")
        fetch(found.run_id or "", expected, to)
        console.emit({"folder": str(to), "weights": expected, "version": version}, as_json)


if __name__ == "__main__":
    typer.run(main)
