"""A recording stand-in for the engine, and how to look things up in its record."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pulumi.runtime import MockResourceArgs

from preview.record import Providers, without_secrets

Inputs = dict[str, Any]

ROOT = Path(__file__).parents[2]
PIN = {
    "version": 7,
    "run": "3f" * 16,
    "image": "sha256:" + "1" * 64,
    "weights": "sha256:" + "2" * 64,
    "signer": "sha256:" + "7" * 64,
    "data": {"key": "data/loans/2026-11-23.parquet", "versionId": "v1", "sha256": "3" * 64},
    "features": "sha256:" + "4" * 64,
    "commit": "5" * 40,
    "evidence": "sha256:" + "6" * 64,
}
PINNED = {"credit-default": PIN}
(LIVE,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "aws.md").read_text(), re.DOTALL)
"""The stack file of a stack on an account of Amazon's."""


@dataclass
class Recorder(Providers):
    """Everything that a program registered, as plain dicts in the engine's camelCase."""

    resources: list[MockResourceArgs] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    registered: list[dict[str, Any]] = field(default_factory=list)
    """The same with parents and protection, secrets left out: what a preview tells."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, Inputs]:
        self.resources.append(args)
        return super().new_resource(args)

    def of(self, kind: str) -> list[Inputs]:
        """The inputs of all resources whose type ends in `:kind`."""
        return [revealed(each.inputs) for each in self.resources if each.typ.endswith(f":{kind}")]

    def one(self, kind: str, name: str | None = None) -> Inputs:
        """The inputs of the only such resource (of that logical name)."""
        (only,) = (
            revealed(each.inputs)
            for each in self.resources
            if each.typ.endswith(f":{kind}") and name in (None, each.name)
        )
        return only

    def kubernetes(self) -> list[Inputs]:
        """The inputs of all objects of Kubernetes'."""
        return [
            revealed(each.inputs)
            for each in self.resources
            # What upstream's files hold, the engine alone unfolds.
            if each.typ.startswith("kubernetes:") and ":yaml" not in each.typ
        ]

    def pods(self) -> Iterator[tuple[str, Inputs]]:
        """Every pod template, with the kind and name of what makes the pods."""
        for each in self.resources:
            spec = revealed(each.inputs).get("spec", {})
            template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
            if each.typ.startswith("kubernetes:") and template:
                yield f"{each.typ.rpartition(':')[2]} {each.name}", template


def revealed(value: Any) -> Any:  # noqa: ANN401 - JSON-like data
    """The value with secrets in clear."""
    return without_secrets(value, lambda secret: revealed(secret["value"]))


class Build(Protocol):
    def __call__(self, program: Callable[[], Any], stack: str = "dev") -> Recorder: ...


Platform = Callable[[str, Mapping[str, Any]], Recorder]
Live = Callable[..., Recorder]
