"""A recording stand-in for the engine, and how to look things up in its record."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks

Inputs = dict[str, Any]

ROOT = Path(__file__).parents[2]
GENERATED = "generated-by-"
DIGEST = "sha256:" + "d" * 64
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


@dataclass
class Recorder(Mocks):
    """Everything that a program registered, as plain dicts in the engine's camelCase."""

    resources: list[MockResourceArgs] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)
    registered: list[dict[str, Any]] = field(default_factory=list)
    """The same with parents and protection, secrets left out: what a preview tells."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, Inputs]:
        self.resources.append(args)
        state = dict(args.inputs)
        match args.typ:
            case "random:index/randomPassword:RandomPassword":
                state["result"] = f"{GENERATED}{args.name}"
                state["bcryptHash"] = f"$2a$10${GENERATED}{args.name}"
            case "random:index/randomId:RandomId":
                state["hex"] = f"id-{args.name}"
            case "docker:index/image:Image":
                name = args.inputs["imageName"].rpartition(":")[0]
                state["repoDigest"] = f"{name}@{DIGEST}"
            case "aws:s3/bucket:Bucket":
                state["bucket"] = f"{args.name}-a1b2c3d"
            case typ if typ.startswith("kubernetes:"):
                state["metadata"] = {"name": f"{args.name}-auto", **state.get("metadata", {})}
        return f"{args.name}-id", state

    def call(self, args: MockCallArgs) -> tuple[Inputs, None]:
        raise AssertionError(f"unexpected provider call {args.token}")

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


_SIGNATURE = "4dabf18193072939515e22adb298388d"  # marks a secret on the wire


def revealed(value: Any) -> Any:  # noqa: ANN401 - JSON-like data
    """The value with secrets in clear."""
    return _without_secrets(value, lambda secret: revealed(secret["value"]))


def concealed(value: Any) -> Any:  # noqa: ANN401 - JSON-like data
    """The value as anybody may see it."""
    return _without_secrets(value, lambda _: "[secret]")


def _without_secrets(value: Any, instead: Callable[[Inputs], Any]) -> Any:  # noqa: ANN401
    match value:
        case dict() if _SIGNATURE in value:
            return instead(value)
        case dict():
            return {key: _without_secrets(each, instead) for key, each in value.items()}
        case list():
            return [_without_secrets(each, instead) for each in value]
    return value


class Build(Protocol):
    def __call__(self, program: Callable[[], Any], stack: str = "dev") -> Recorder: ...


Platform = Callable[[str, Mapping[str, Any]], Recorder]
