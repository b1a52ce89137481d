"""Holds a stack's pins against what the registries really have, before anything is deployed."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.settings import Pin
from promotion import evidence, images
from promotion.models import ModelRegistry
from promotion.refusals import GateRefused, NeverUp
from promotion.release import Release
from promotion.stack import Stack


def verify(stack: Stack, pins: Mapping[str, Pin]) -> None:
    """Raise `GateRefused` naming every pin that is not what the registries hold.

    A stack above another holds its pins against its own bucket and image registry alone: their
    versions are registered in the stack where they were built, which need not be up.
    """
    try:
        bucket = stack.bucket()
        registry = None if stack.settings.platform.below else ModelRegistry(stack)
    except NeverUp as error:
        raise GateRefused(
            f"{stack.file.name} pins {', '.join(sorted(pins))}, and {stack.name} was never brought "
            f"up here: nothing holds what is pinned; run `ferry unpin --all --stack {stack.name}`"
        ) from error
    complaints = [
        f"{stack.file.name}: ferry:pins.{model}: {complaint}"
        for model, pin in pins.items()
        for complaint in _complaints(stack, registry, bucket, model, pin)
    ]
    if complaints:
        raise GateRefused(
            "\n".join([*complaints, "nothing was deployed; pin a release that exists: `ferry pin`"])
        )


def _complaints(
    stack: Stack,
    registry: ModelRegistry | None,
    bucket: Any,  # noqa: ANN401 - boto3 resource
    model: str,
    pin: Pin,
) -> Iterator[str]:
    try:
        registered = registry.version(model, pin.version) if registry else None
    except GateRefused as refusal:
        yield str(refusal)
        return
    stored = evidence.read(bucket, evidence.record(model, pin.version))
    if stored is None:
        yield f"version {pin.version} has no release.json in the bucket"
        return
    try:
        release = Release.read(stored, evidence=pin.evidence)
    except GateRefused as refusal:
        yield str(refusal)
        return
    yield from differences(pin, release.pin(), "the release")
    for field in ("run", "weights", "signer", "features", "commit") if registered else ():
        wanted, seen = getattr(pin, field), getattr(registered, field)
        if wanted != seen:
            yield f"{field} is {wanted}, MLflow's version {pin.version} has {seen}"
    url = stack.outputs.registry.url
    if images.digest(url, model, pin.image, stack.registry_login) != pin.image:
        yield f"image {pin.image} is not in {url}"


def differences(pin: Pin, other: Pin, name: str) -> Iterator[str]:
    """One complaint for each field in which `pin` and `other` (called `name`) differ."""
    for field in type(pin).model_fields:
        wanted, seen = getattr(pin, field), getattr(other, field)
        if wanted != seen:
            yield f"{field} is {wanted}, {name} has {seen}"
