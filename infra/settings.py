"""The one place where stack configuration becomes typed, frozen, validated values."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pulumi
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from infra.complaints import Complaint, SettingsError, explain, located
from infra.words import (
    Account,
    Commit,
    Count,
    Cpu,
    Digest,
    Domain,
    Duration,
    Environment,
    Flag,
    Fraction,
    Label,
    Memory,
    ModelName,
    Percent,
    Region,
    Run,
    Schedule,
    SecretName,
    Sha256,
    Steps,
    Word,
)


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Data(_Strict):
    """What a pin says of the snapshot its model was trained on."""

    key: Word
    version_id: Word
    sha256: Sha256


class Pin(_Strict):
    """What a stack serves of one model. Written by `ferry`, never by hand."""

    version: Annotated[int, Field(strict=True, ge=1)]
    run: Run
    image: Digest
    weights: Digest
    data: Data
    features: Digest
    commit: Commit
    evidence: Digest


class ClusterFoundation(_Strict):
    """An existing Kubernetes; `context` names one in the kubeconfig, null takes its current."""

    kind: Literal["cluster"]
    context: Word | None = None


class AwsFoundation(_Strict):
    """An account of Amazon's, where the stack makes its own Kubernetes."""

    kind: Literal["aws"]
    region: Region
    account: Account
    zones: Annotated[int, Field(strict=True, ge=2, le=6)] = 3


Lack = Literal["encryption", "publicAccessBlock", "lifecycle", "defaultRetention"]


class ObjectStore(_Strict):
    """What the stack's S3 does not have, so that nothing is left out silently."""

    lacks: frozenset[Lack] = frozenset()


class Ingress(_Strict):
    """The cluster's Ingress controller: its class, and the namespace that it runs in."""

    class_name: Annotated[Label, Field(alias="class")]
    domain: Domain
    namespace: Label = "traefik"


class DataKeeping(_Strict):
    """`keep` refuses deletion and leaves the data behind even so; `lock_days` is object lock."""

    keep: Flag
    lock_days: Annotated[int, Field(strict=True, ge=1, le=36500)]


class Mlflow(_Strict):
    database: Literal["volume", "rds"] = "volume"


class Receivers(_Strict):
    """Names of secrets that hold where an alert goes; never the values themselves."""

    slack: SecretName | None = None
    pagerduty: SecretName | None = None
    email: SecretName | None = None


class Monitoring(_Strict):
    retention: Duration = "7d"
    grafana: Flag = False
    receivers: Receivers = Receivers()


class Scaling(_Strict):
    """Replica bounds of the autoscaler and the CPU use that it aims at."""

    minimum: Count = 2
    maximum: Count = 4
    cpu_percent: Percent = 70

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.minimum > self.maximum:
            raise PydanticCustomError("expected", "minimum <= maximum")
        return self


class Resources(_Strict):
    """What one replica asks for, and may use of memory at the most."""

    cpu: Cpu = "250m"
    memory: Memory = "256Mi"
    gpu: Annotated[int, Field(strict=True, ge=0, le=16)] = 0


class Rolling(_Strict):
    kind: Literal["rolling"]


class Canary(_Strict):
    """Traffic in `steps` of percent; each waits for `minimum_requests` within `deadline`."""

    kind: Literal["canary"]
    steps: Steps
    minimum_requests: Annotated[int, Field(strict=True, ge=1)]
    deadline: Duration


class Gates(_Strict):
    """Bounds that a release must keep; None where the stack asks for none."""

    minimum_auc: Fraction | None = None
    maximum_fairness_gap: Fraction | None = None


class Road(_Strict):
    """The model's jobs in the cluster: each day's data, and what trains and scores on demand."""

    schedule: Schedule


class Model(_Strict):
    scaling: Scaling = Scaling()
    resources: Resources = Resources()
    delivery: Annotated[Rolling | Canary, Field(discriminator="kind")] = Rolling(kind="rolling")
    gates: Gates = Gates()
    road: Road | None = None


class Platform(_Strict):
    """`ferry:platform`, edited by people."""

    environment: Environment
    foundation: Annotated[ClusterFoundation | AwsFoundation, Field(discriminator="kind")]
    object_store: ObjectStore = ObjectStore()
    ingress: Ingress
    data: DataKeeping
    mlflow: Mlflow = Mlflow()
    monitoring: Monitoring = Monitoring()
    models: Mapping[ModelName, Model] = Field(default_factory=dict)


class Settings(_Strict):
    """One stack's configuration: what people edit, and the pins that only `ferry` writes."""

    platform: Annotated[Platform, Field(alias="ferry:platform")]
    pins: Annotated[Mapping[ModelName, Pin], Field(alias="ferry:pins", default_factory=dict)]

    def model(self, name: str) -> Model:
        """How a pinned model is served: its settings, or the defaults where it has none."""
        return self.platform.models.get(name, Model())


_BLOCKS = ("platform", "pins")


def parse(
    source: str | Mapping[str, Any], *, stack: str, file: str = "", text: str | None = None
) -> Settings:
    """Validate a stack file's text, or its `config` mapping; pure.

    `text` finds the lines of what a mapping gets wrong. Raises SettingsError with everything
    that is wrong, at once.
    """
    if isinstance(source, str):
        from infra.stackfile import read  # the YAML reader is dear, and a program needs it rarely

        source, text = read(source, file), source
    raw = {key: value for key, value in source.items() if str(key).startswith("ferry:")}
    complaints = list(_mismatch(raw, stack))
    try:
        settings = Settings.model_validate(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        complaints += explain(error, Settings)
    else:
        complaints += _contradictions(settings)
        if not complaints:
            return settings
    raise SettingsError(located(complaints, file, text))


def load(directory: Path | None = None) -> Settings:
    """The settings of the stack that the running program is for.

    Raises SettingsError. The stack's file in `directory` serves to name lines, and keys that
    no block of settings knows.
    """
    config = pulumi.Config("ferry")
    stack = pulumi.get_stack()
    path = (directory or Path.cwd()) / f"Pulumi.{stack}.yaml"
    given = {f"ferry:{block}": config.get(block) for block in _BLOCKS}
    return parse(
        {key: _decoded(value) for key, value in given.items() if value is not None},
        stack=stack,
        file=path.name,
        text=path.read_text() if path.is_file() else None,
    )


def _decoded(value: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(value)
    except ValueError:
        return value


def _mismatch(raw: Mapping[str, Any], stack: str) -> Iterator[Complaint]:
    platform = raw.get("ferry:platform")
    environment = platform.get("environment") if isinstance(platform, Mapping) else None
    if isinstance(environment, str) and environment != stack:
        yield Complaint(
            ("ferry:platform", "environment"), repr(environment), f"{stack!r}, the stack"
        )


def _contradictions(settings: Settings) -> Iterator[Complaint]:
    platform = settings.platform
    if platform.mlflow.database == "rds" and platform.foundation.kind != "aws":
        yield Complaint(
            ("ferry:platform", "mlflow", "database"),
            "'rds'",
            f"'volume': a foundation of kind {platform.foundation.kind} has no RDS",
        )
