"""Champion: the version that a new model has to beat, scored on the same held-out rows."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from app import console, evaluate, fetch
from app.definition import Definition
from app.evaluate import Scored
from app.schema import InvalidRows
from app.serving import model as served

CANDIDATE = "candidate"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's codes for no such model or run, and for no such alias."""
_HIDDEN = "PERMISSION_DENIED"
"""What a job is told of a run that is not there, or in an experiment of somebody's own."""


@dataclass(frozen=True, kw_only=True)
class Champion:
    """A version that an alias names: loaded, or the reason why it cannot be."""

    version: int
    alias: str
    model: served.Model | str


def find(client: mlflow.MlflowClient, name: str) -> Champion | None:
    """What the stack serves, by the alias of FERRY_STACK, or else the newest candidate."""
    for alias in (os.environ.get("FERRY_STACK"), CANDIDATE):
        found = _behind(client, name, alias) if alias else None
        if found and alias:
            return Champion(version=int(found.version), alias=alias, model=_loaded(found))
    return None


def _behind(client: mlflow.MlflowClient, name: str, alias: str) -> ModelVersion | None:
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise


def _loaded(version: ModelVersion) -> served.Model | str:
    weights = version.tags.get("ferry.weights", "none")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        try:
            fetch.fetch(version.run_id or "", weights, folder)
            return served.load(folder, weights)
        except (console.Refused, served.Unfit) as error:
            return str(error)
        except MlflowException as error:
            if error.error_code in (*_ABSENT, _HIDDEN):  # the run is gone, and with it the files
                return f"run {version.run_id}: {error.message}"
            raise


def compare(model: Definition, champion: Champion, mine: Scored) -> dict[str, Any]:
    """By how much each metric differs from the champion's, with 95% intervals.

    A champion that cannot score these rows is named with the reason instead.
    """
    document: dict[str, Any] = {"version": champion.version, "alias": champion.alias}
    if isinstance(champion.model, str):
        return {**document, "incomparable": champion.model}
    try:
        theirs = _score(model, mine.table, champion.model)
    except (InvalidRows, KeyError) as error:
        return {**document, "incomparable": f"it does not take today's rows: {error}"}
    differences = evaluate.compare(mine.labels, mine.scores, mine.threshold, theirs)
    return {**document, "differences": differences}


def _score(model: Definition, table: pd.DataFrame, champion: served.Model) -> Scored:
    return evaluate.score(model.dataset, table, champion)
