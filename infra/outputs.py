"""The stack's public contract: what the program exports and the tools read back."""

from collections.abc import Mapping
from typing import Any, Self

import pulumi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Shape(BaseModel):
    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Namespaces(_Shape):
    platform: str
    monitoring: str
    models: str
    jobs: str


class Bucket(_Shape):
    name: str
    endpoint: str
    region: str


class Registry(_Shape):
    """`url` is where the registry's API answers; image names begin with it, less the scheme."""

    url: str


class Mlflow(_Shape):
    url: str
    internal_url: str


class Site(_Shape):
    url: str


class ServedRelease(_Shape):
    version: int
    image: str
    weights: str
    evidence: str


class ServedModel(_Shape):
    """One pinned model; `rollout` is the name of the object that moves its pods."""

    url: str
    grpc_url: str | None = None
    namespace: str
    rollout: str
    release: ServedRelease


class StoreKeys(_Shape):
    access_key: str
    secret_key: str = Field(repr=False)


class Login(_Shape):
    username: str
    password: str = Field(repr=False)


class Credentials(_Shape):
    """The stack's one secret output; a stack whose cloud gives logins has fewer."""

    object_store: StoreKeys | None = None
    mlflow: Login
    people: Mapping[str, Login] = Field(default_factory=dict)
    """Of MLflow, by the name in the stack file."""
    registry: Login | None = None
    grafana: Login | None = None


class StackOutputs(_Shape):
    environment: str
    namespaces: Namespaces
    bucket: Bucket
    registry: Registry
    mlflow: Mlflow
    prometheus: Site | None = None
    alertmanager: Site | None = None
    grafana: Site | None = None
    models: Mapping[str, ServedModel] = Field(default_factory=dict)

    @classmethod
    def read(cls, outputs: Mapping[str, Any]) -> Self:
        """From `automation.Stack.outputs()`, or from `pulumi stack output --json`."""
        return cls.model_validate(_values(outputs))


_SECRET = "credentials"  # noqa: S105 - the output's name


def credentials(outputs: Mapping[str, Any]) -> Credentials:
    """The secret output, from `automation.Stack.outputs()` or `stack output --show-secrets`."""
    return Credentials.model_validate(_values(outputs)[_SECRET])


def export(secret: pulumi.Input[Mapping[str, Any]], **values: pulumi.Input[Any]) -> None:
    """Export the declared fields of StackOutputs in camelCase, and `secret` as Credentials.

    Raises TypeError for a field too many or too few: the contract is this file.
    """
    fields = StackOutputs.model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    if not required <= values.keys() <= fields.keys():
        raise TypeError(f"outputs {sorted(values)} do not match {sorted(fields)}")
    for name, value in values.items():
        pulumi.export(to_camel(name), value)
    pulumi.export(_SECRET, pulumi.Output.secret(secret))


def _values(outputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(output, "value", output) for name, output in outputs.items()}
