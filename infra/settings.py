"""The one place where stack configuration becomes typed, frozen, validated values."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pulumi
from pydantic import Field, ValidationError

from infra.account import AwsFoundation
from infra.complaints import Complaint, SettingsError, explain, located
from infra.models import Model
from infra.words import (
    Address,
    Commit,
    Digest,
    Domain,
    Duration,
    Environment,
    Flag,
    Label,
    ModelName,
    Part,
    Person,
    Run,
    Schedule,
    SecretName,
    Server,
    Sha256,
    Signer,
    Strict,
    Word,
)


class Data(Strict):
    """What a pin says of the snapshot its model was trained on."""

    key: Word
    version_id: Word
    sha256: Sha256


class Pin(Strict):
    """What a stack serves of one model. Written by `ferry`, never by hand."""

    version: Annotated[int, Field(strict=True, ge=1)]
    run: Run
    image: Digest
    weights: Digest
    signer: Signer
    """Digest of the public key that the weights are signed with."""
    data: Data
    features: Digest
    commit: Commit
    evidence: Digest


class ClusterFoundation(Strict):
    """An existing Kubernetes; `context` names one in the kubeconfig, null takes its current."""

    kind: Literal["cluster"]
    context: Word | None = None


Lack = Literal["encryption", "publicAccessBlock", "lifecycle", "defaultRetention"]


class ObjectStore(Strict):
    """What the stack's S3 does not have, so that nothing is left out silently."""

    lacks: frozenset[Lack] = frozenset()


class Ingress(Strict):
    """The cluster's Ingress controller: its class, and the namespace that it runs in."""

    class_name: Annotated[Label, Field(alias="class")]
    domain: Domain
    namespace: Label = "traefik"


class DataKeeping(Strict):
    """`keep` refuses deletion and leaves the data behind even so; `lock_days` is object lock."""

    keep: Flag
    lock_days: Annotated[int, Field(strict=True, ge=1, le=36500)]


class Mlflow(Strict):
    database: Literal["volume", "rds"] = "volume"


class Features(Strict):
    """Where the features are that servers look up: in the cluster, or in Amazon's cache."""

    store: Literal["volume", "elasticache"] = "volume"


class Backup(Strict):
    """When MLflow's databases are copied into the bucket: a cron line, in UTC."""

    schedule: Schedule


class Email(Strict):
    """`secret` is the name of the one that holds the password for `username`."""

    server: Server
    sender: Address
    to: Address
    username: Word
    secret: SecretName


class Receivers(Strict):
    """Names of secrets that hold where an alert goes; never the values themselves."""

    slack: SecretName | None = None
    pagerduty: SecretName | None = None
    email: Email | None = None


class Monitoring(Strict):
    retention: Duration = "7d"
    grafana: Flag = False
    runbooks: Word = "docs/runbooks"
    """Where people open the folder of that name; every alert links to its page there."""
    receivers: Receivers = Receivers()


class Platform(Strict):
    """`ferry:platform`, edited by people."""

    environment: Environment
    foundation: Annotated[ClusterFoundation | AwsFoundation, Field(discriminator="kind")]
    object_store: ObjectStore = ObjectStore()
    below: Environment | None = None
    """The stack that releases come from; None where they are built."""
    signers: tuple[Signer, ...] = ()
    """Whose signatures are taken; empty: anybody's, and the pin alone names the signer."""
    ingress: Ingress
    data: DataKeeping
    mlflow: Mlflow = Mlflow()
    features: Features = Features()
    backup: Backup | None = None
    monitoring: Monitoring = Monitoring()
    people: Mapping[Person, Part] = Field(default_factory=dict)
    """Who has a login of MLflow's."""
    models: Mapping[ModelName, Model] = Field(default_factory=dict)


class Settings(Strict):
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
    for block, key, found, service in (
        ("mlflow", "database", platform.mlflow.database, "RDS"),
        ("features", "store", platform.features.store, "ElastiCache"),
    ):
        if found != "volume" and platform.foundation.kind != "aws":
            yield Complaint(
                ("ferry:platform", block, key),
                repr(found),
                f"'volume': a foundation of kind {platform.foundation.kind} has no {service}",
            )
    if platform.mlflow.database == "rds" and platform.backup is not None:
        yield Complaint(
            ("ferry:platform", "backup"),
            "a schedule",
            "none beside mlflow.database rds: RDS backs it up itself (docs/backup.md)",
        )
    if platform.below == platform.environment:
        yield Complaint(("ferry:platform", "below"), repr(platform.below), "another stack")
    for model, pin in settings.pins.items():
        if platform.signers and pin.signer not in platform.signers:
            path = ("ferry:pins", model, "signer")
            yield Complaint(path, repr(pin.signer), "one of ferry:platform.signers")
