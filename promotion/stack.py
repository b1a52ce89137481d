"""A stack as promotion sees it: its file, and the outputs of its last update."""

import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.outputs import Credentials, StackOutputs, credentials
from infra.settings import Settings, parse
from promotion import amazon, engines, state
from promotion.refusals import DependencyDown, NeverUp, UsageRefused


@dataclass(frozen=True)
class Stack:
    """One environment; `directory` is the folder of Pulumi.yaml."""

    name: str
    directory: Path

    @property
    def file(self) -> Path:
        """The stack file; raises `UsageRefused` when there is none of that name."""
        path = self.directory / f"Pulumi.{self.name}.yaml"
        if not path.is_file():
            known = ", ".join(names(self.directory)) or "none"
            raise UsageRefused(f"there is no {path.name}; stacks are: {known}")
        return path

    @cached_property
    def settings(self) -> Settings:
        """The validated stack file; raises SettingsError."""
        return parse(self.file.read_text(), stack=self.name, file=self.file.name)

    def reread(self) -> "Stack":
        """The stack as its file is now; the engine is not asked again for the outputs."""
        now = Stack(self.name, self.directory)
        if "_raw" in vars(self):
            vars(now)["_raw"] = self._raw
        return now

    @property
    def below(self) -> "Stack | None":
        """The stack that releases come from; None where they are built."""
        name = self.settings.platform.below
        return Stack(name, self.directory) if name else None

    @cached_property
    def outputs(self) -> StackOutputs:
        """The typed outputs of the last update."""
        return StackOutputs.read(self._raw)

    @cached_property
    def credentials(self) -> Credentials:
        """The secret output, in clear: never print it."""
        return credentials(self._raw)

    @cached_property
    def _raw(self) -> dict[str, Any]:
        answer = self._pulumi("stack", "output", "--json", "--show-secrets", "--stack", self.name)
        if not (outputs := json.loads(answer)):
            raise NeverUp(f"{self.name} was never brought up here; run `pulumi up` first")
        return outputs

    def _pulumi(self, *arguments: str) -> str:
        environment = engines.environment(self.name)
        try:
            done = subprocess.run(
                ["pulumi", *arguments],
                cwd=self.directory, env=environment,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise DependencyDown(
                'there is no `pulumi` on PATH; run `eval "$(make -s env)"` first'
            ) from error
        if done.returncode:
            raise DependencyDown(
                f"`pulumi {' '.join(arguments[:2])}` failed for {self.name}: {done.stderr.strip()}"
                + state.remedy(done.stderr, self.name, self.directory, environment)
            )
        return done.stdout

    def bucket(self) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        """The stack's bucket as a boto3 resource."""
        at, keys = self.outputs.bucket, self._keys()
        return amazon.bucket(at.name, at.region, at.endpoint if keys else None, keys)

    def environment(self) -> dict[str, str]:
        """What a step of the model's road finds in its environment; holds secrets."""
        outputs, mlflow = self.outputs, self.credentials.mlflow
        return {
            "FERRY_STACK": self.name,
            "MLFLOW_TRACKING_URI": outputs.mlflow.url,
            "MLFLOW_TRACKING_USERNAME": mlflow.username,
            "MLFLOW_TRACKING_PASSWORD": mlflow.password,
            # Else the server answers with the bucket's own address, as only the cluster knows it.
            "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
            "AWS_REGION": outputs.bucket.region,
            "AWS_ENDPOINT_URL_S3": outputs.bucket.endpoint,
            "FERRY_BUCKET": outputs.bucket.name,
            "FERRY_LOCK_DAYS": str(self.settings.platform.data.lock_days),
            "FERRY_REGISTRY": outputs.registry.url,
            **{name.upper(): value for name, value in self._keys().items()},
        }

    @cached_property
    def registry_login(self) -> tuple[str, str]:
        """User and password of the stack's image registry; where it is a cloud's, for hours."""
        if login := self.credentials.registry:
            return login.username, login.password
        return amazon.registry_login(self.outputs.bucket.region)

    def _keys(self) -> dict[str, str]:
        """The object store's keys; empty where the cloud gives boto3 its own identity."""
        keys = self.credentials.object_store
        if keys is None:
            return {}
        return {"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key}


def names(directory: Path) -> list[str]:
    """The stacks of a project that have a file."""
    return sorted(path.name.split(".")[1] for path in directory.glob("Pulumi.*.yaml"))


def all_in(directory: Path) -> list[Stack]:
    """The stacks of a project, by `names`."""
    return [Stack(name, directory) for name in names(directory)]
