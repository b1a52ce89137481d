"""The model registry as promotion reads it: versions with the tags that registration left."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from infra.settings import Commit, Data, Digest, Signer
from promotion.refusals import DependencyDown, GateRefused
from promotion.stack import Stack

if TYPE_CHECKING:
    from mlflow import MlflowClient

CANDIDATE = "candidate"


class Registered(BaseModel):
    """A registered version, as its `ferry.*` tags describe it."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: int
    run: str
    commit: Commit
    data: Data
    features: Digest
    weights: Digest
    signer: Signer
    dirty: bool
    """Whether the code it was trained with differed from its commit."""


class ModelRegistry:
    """MLflow's registry and artifacts of one stack."""

    def __init__(self, stack: Stack) -> None:
        environment = stack.environment()
        self.url = environment["MLFLOW_TRACKING_URI"]
        # MLflow's client takes its credentials from the environment alone.
        os.environ.update(
            {name: value for name, value in environment.items() if name.startswith("MLFLOW_")}
        )
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

    @property
    def _client(self) -> "MlflowClient":
        from mlflow import MlflowClient  # over a second that most commands don't need

        return MlflowClient(self.url)

    def candidate(self, model: str) -> int:
        """The newest version whose image was built and passed its self-test."""
        with self._answers(f"{model} has no candidate; run `ferry release build {model}`"):
            return int(self._client.get_model_version_by_alias(model, CANDIDATE).version)

    def newest(self, model: str) -> int:
        """The newest registered version."""
        with self._answers(f"there is no registered model {model}; run `make release`"):
            found = self._client.search_model_versions(f"name = '{model}'")
        if not found:
            raise GateRefused(f"{model} has no version; run `make release`")
        return max(int(version.version) for version in found)

    def make_candidate(self, model: str, version: int) -> None:
        """Move the alias to `version`, unless a newer one has it."""
        try:
            if self.candidate(model) >= version:
                return
        except GateRefused:
            pass  # there is none yet
        with self._answers(f"{model} has no version {version}"):
            self._client.set_registered_model_alias(model, CANDIDATE, str(version))

    def version(self, model: str, version: int) -> Registered:
        """One version; `GateRefused` when it is missing, not ready or lacks its tags."""
        missing = f"{model} has no version {version} in {self.url}"
        with self._answers(missing):
            found = self._client.get_model_version(model, str(version))
        if found.status != "READY":
            raise GateRefused(f"{model} version {version} is {found.status}, not READY")
        tags = {
            key.removeprefix("ferry."): value
            for key, value in found.tags.items()
            if key.startswith("ferry.")
        }
        try:
            data = TypeAdapter(Data).validate_json(tags.pop("data", "null"))
            return Registered.model_validate(
                {**tags, "model": model, "version": version, "run": found.run_id, "data": data}
            )
        except ValidationError as error:
            names = sorted(
                {f"ferry.{item['loc'][0] if item['loc'] else 'data'}" for item in error.errors()}
            )
            raise GateRefused(
                f"{model} version {version} was not registered by `app.register`: "
                f"its tags {', '.join(names)} are missing or malformed"
            ) from error

    def download(self, run: str, folder: str, into: Path) -> Path:
        """The run's artifact folder, copied below `into`."""
        with self._answers(f"run {run} has no artifact folder {folder!r}"):
            return Path(self._client.download_artifacts(run, folder, str(into)))

    def tag(self, model: str, version: int, **tags: str) -> None:
        """Leave `ferry.<name>` tags on a version."""
        with self._answers(f"{model} has no version {version}"):
            for name, value in tags.items():
                self._client.set_model_version_tag(model, str(version), f"ferry.{name}", value)

    def point(self, model: str, alias: str, version: int) -> None:
        """Make `alias` name a version, whatever it named before."""
        with self._answers(f"{model} has no version {version} in {self.url}"):
            self._client.set_registered_model_alias(model, alias, str(version))

    def delete(self, model: str, version: int) -> bool:
        """Delete a version; False when there is none."""
        try:
            with self._answers(f"{model} has no version {version} in {self.url}"):
                self._client.delete_model_version(model, str(version))
        except GateRefused:
            return False
        return True

    @contextmanager
    def _answers(self, missing: str) -> Generator[None]:
        from mlflow.exceptions import MlflowException, RestException

        try:
            yield
        except RestException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise GateRefused(missing) from error
            raise DependencyDown(f"MLflow at {self.url} answers: {error.message}") from error
        except MlflowException as error:
            raise DependencyDown(
                f"MLflow at {self.url} does not answer: {error.message}"
            ) from error
