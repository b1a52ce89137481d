"""A reviewed plan, bound to what it was made from: state, settings, commit, program and images."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.settings import Digest, Environment
from promotion import engine, images, ledger
from promotion.refusals import Conflict, GateRefused, UsageRefused
from promotion.release import canonical, digest
from promotion.stack import Stack

_PROGRAM = ("__main__.py", "Pulumi.yaml", "infra/**/*", "components/**/*", "analysis/*")
_VOLATILE = {"ciphertext", "plaintext", "sourcePosition", "stackTrace"}
"""In state, what another run writes anew though nothing moved: secrets are encrypted afresh."""


class Step(BaseModel):
    """What the engine would do to one resource."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: str
    urn: str


class Plan(BaseModel):
    """What `ferry plan` writes and `ferry deliver --plan` holds the stack against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    stack: Environment
    made: datetime
    state: Digest
    settings: Digest
    commit: str | None
    program: Digest
    images: dict[str, Digest]
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file; raises `UsageRefused` when it holds no plan."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise UsageRefused(f"{path} holds no plan; `ferry plan` writes one: {error}") from error

    def document(self) -> bytes:
        """JSON for people to review, the same for the same plan."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True).encode() + b"\n"


def make(stack: Stack) -> Plan:
    """What an update would do now, and all that this depends on.

    Raises `GateRefused` when the registry lacks an image, `DependencyDown` when the engine fails.
    """
    state = _state(engine.export(stack))
    steps = tuple(sorted(map(Step.model_validate, engine.preview(stack)), key=str))
    return Plan(
        stack=stack.name,
        made=datetime.now(UTC).replace(microsecond=0),
        state=state,
        settings=digest(stack.file.read_bytes()),
        commit=ledger.head(stack.directory),
        program=_program(stack.directory),
        images=_images(stack),
        steps=steps,
    )


def hold(plan: Plan, stack: Stack) -> None:
    """Raise `Conflict` naming everything that has moved since the plan was made."""
    if plan.stack != stack.name:
        raise UsageRefused(f"the plan is for {plan.stack}, not for {stack.name}")
    now = make(stack)
    moved = [
        f"  {name}: {_short(getattr(plan, name))} then, {_short(getattr(now, name))} now"
        for name in ("state", "settings", "commit", "program", "images")
        if getattr(plan, name) != getattr(now, name)
    ]
    for word, steps in (
        ("no longer planned", set(plan.steps) - set(now.steps)),
        ("not in the plan", set(now.steps) - set(plan.steps)),
    ):
        moved += [f"  {word}: {step.op} {step.urn}" for step in sorted(steps, key=str)]
    if moved:
        raise Conflict(
            "\n".join(
                [
                    f"since the plan of {plan.made:%FT%TZ} these have moved; nothing was applied:",
                    *moved,
                    f"make and review a new one: `ferry plan --stack {stack.name}`",
                ]
            )
        )


def _state(deployment: dict[str, Any]) -> str:
    """Over every resource and operation; an update that changed nothing leaves it as it was."""
    kept = {name: deployment.get(name) for name in ("resources", "pending_operations")}
    return digest(canonical(_steady(kept)))


def _steady(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {name: _steady(each) for name, each in value.items() if name not in _VOLATILE}
    return [_steady(each) for each in value] if isinstance(value, list) else value


def _program(directory: Path) -> str:
    """Over the program's files as they are now, committed or not."""
    files = {path for pattern in _PROGRAM for path in directory.glob(pattern) if path.is_file()}
    listed = {
        str(path.relative_to(directory)): digest(path.read_bytes())
        for path in files
        if "__pycache__" not in path.parts
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    }
    return digest(canonical(listed))


def _images(stack: Stack) -> dict[str, str]:
    """Each pinned image by the digest that the registry itself answers."""
    pinned = stack.settings.pins
    if not pinned:
        return {}
    url, login = stack.outputs.registry.url, stack.registry_login
    found = {model: images.digest(url, model, pin.image, login) for model, pin in pinned.items()}
    missing = [model for model, pin in pinned.items() if found[model] != pin.image]
    if missing:
        raise GateRefused(f"{url} lacks the pinned image of {', '.join(missing)}")
    return {model: image for model, image in found.items() if image}


def _short(value: object) -> str:
    return "none" if value is None else f"{value!s:.80}"
