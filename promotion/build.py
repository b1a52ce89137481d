"""Turns a registered version into a release: image, evidence, and the record that pins both."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from promotion import evidence, images, pins
from promotion.models import ModelRegistry, Registered
from promotion.refusals import DependencyDown, GateRefused
from promotion.release import Release, canonical, digest
from promotion.stack import Stack

CODE = ("app",)
DOCKERFILE = "app/Dockerfile"


def build(
    stack: Stack, model: str, version: int | None, say: Callable[[str], None]
) -> tuple[Release, bool]:
    """The release of a version, made now or found complete; the flag tells whether it was made.

    The image holds the code of the version's own commit, not of the working tree. Without a
    `version`, the registry's newest candidate is taken.
    """
    registry = ModelRegistry(stack)
    number = registry.candidate(model) if version is None else version
    registered = registry.version(model, number)
    if registered.dirty:
        raise GateRefused(
            f"{model} version {number} was trained with changes to app/ that commit "
            f"{registered.commit[:12]} does not have; commit them, then `make release`"
        )
    bucket = stack.bucket()
    folder = evidence.prefix(model, number)
    if (stored := evidence.read(bucket, evidence.record(model, number))) is not None:
        return Release.read(stored), False

    with tempfile.TemporaryDirectory(prefix="ferry-release-") as scratch:
        context = Path(scratch)
        say(f"laying out commit {registered.commit[:12]} and the weights of run {registered.run}")
        images.context(registered.commit, CODE, stack.directory, context)
        registry.download(registered.run, "model", context)
        metrics = _metrics(context / "model" / "model.json")
        image = _image(stack, registered, context, say)
    files = {"metrics.json": canonical(metrics)}
    release = Release(
        **registered.model_dump(exclude={"dirty"}),
        image=image,
        files={name: digest(content) for name, content in files.items()},
    )
    say(f"storing the evidence below {folder}")
    evidence.write(bucket, folder, {**files, evidence.RECORD: release.document()})
    registry.tag(model, number, image=image, evidence=digest(release.document()))
    return release, True


def _metrics(described: Path) -> dict[str, object]:
    try:
        return json.loads(described.read_text())["metrics"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GateRefused(f"the model's {described.name} gives no metrics: {error!r}") from error


def _image(stack: Stack, registered: Registered, context: Path, say: Callable[[str], None]) -> str:
    """Build and push; returns the digest that the registry itself answers."""
    url, login = stack.outputs.registry.url, stack.registry_login
    host = url.split("://", 1)[-1]
    tag = f"v{registered.version}"
    reference = f"{host}/{registered.model}:{tag}"
    say(f"building and pushing {reference}")
    images.login(host, *login)
    images.build(
        context,
        DOCKERFILE,
        reference,
        {
            "MODEL": registered.model,
            "VERSION": str(registered.version),
            "REVISION": registered.commit,
            "WEIGHTS": registered.weights,
        },
    )
    images.push(reference)
    found = images.digest(url, registered.model, tag, login)
    if found is None:
        raise DependencyDown(f"{reference} was pushed, yet the registry has no such image")
    return found


def stored(stack: Stack, model: str, version: int) -> Release:
    """A release that was built before; `GateRefused` when it was not."""
    return Release.read(evidence.require(stack.bucket(), evidence.record(model, version)))


def pinned(stack: Stack, model: str, version: int | None) -> Release:
    """The release of `version`, or else the pinned one, read by the digest in its pin."""
    if version is not None:
        return stored(stack, model, version)
    pin = pins.read(stack.file, model)
    if pin is None:
        raise GateRefused(f"{stack.file.name} pins no {model}; run `make release`")
    document = evidence.require(stack.bucket(), evidence.record(model, pin.version))
    return Release.read(document, evidence=pin.evidence)
