"""Turns a registered version into a release: image, evidence, and the record that pins both."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from promotion import evidence, images, pins
from promotion.models import ModelRegistry, Registered
from promotion.refusals import DependencyDown, GateRefused
from promotion.release import Release, digest
from promotion.stack import Stack

CODE = ("app",)
DOCKERFILE = "app/Dockerfile"

SIGNATURE = "signature"
"""The context's folder of what the weights are verified by; beside them, not among them."""

KEYLESS = "keyless"


def build(
    stack: Stack, model: str, version: int | None, say: Callable[[str], None]
) -> tuple[Release, bool]:
    """The release of a version, made now or found complete; the flag tells whether it was made.

    The image holds the code of the version's own commit, not of the working tree, and its build
    runs the model's self-test inside it: only then does the version become the candidate. Without
    a `version`, the newest registered one is taken.
    """
    registry = ModelRegistry(stack)
    number = registry.newest(model) if version is None else version
    registered = registry.version(model, number)
    if registered.dirty:
        raise GateRefused(
            f"{model} version {number} was trained with changes to app/ that commit "
            f"{registered.commit[:12]} does not have; commit them, then `make release`"
        )
    if registered.signer == KEYLESS:
        raise GateRefused(
            f"{model} version {number} is signed keyless, which no pod can verify: it does not "
            "know who must have signed, and cannot ask Sigstore; train and register again, "
            "with the file of a key as MODEL_SIGNING_KEY"
        )
    bucket = stack.bucket()
    folder = evidence.prefix(model, number)
    if (stored := evidence.read(bucket, evidence.record(model, number))) is not None:
        _announce(registry, release := Release.read(stored))
        return release, False

    with tempfile.TemporaryDirectory(prefix="ferry-release-") as scratch:
        context = Path(scratch)
        say(f"laying out commit {registered.commit[:12]} and the weights of run {registered.run}")
        images.context(registered.commit, CODE, stack.directory, context)
        registry.download(registered.run, "model", context)
        files = _evidence(registry, registered, context / "evidence")
        (context / SIGNATURE).mkdir()
        for name in evidence.SIGNATURE:
            (context / SIGNATURE / name).write_bytes(files[name])
        image = _image(stack, registered, context, say)
    release = Release(
        **registered.model_dump(exclude={"dirty"}),
        image=image,
        files={name: digest(content) for name, content in files.items()},
    )
    say(f"storing the evidence below {folder}")
    evidence.write(
        bucket,
        folder,
        {**files, evidence.RECORD: release.document()},
        lock_days=stack.settings.platform.data.lock_days,
    )
    _announce(registry, release)
    return release, True


def _announce(registry: ModelRegistry, release: Release) -> None:
    """Say in the registry what was built; after an interruption, again."""
    registry.tag(
        release.model,
        release.version,
        image=release.image,
        evidence=digest(release.document()),
    )
    registry.make_candidate(release.model, release.version)


def _evidence(registry: ModelRegistry, registered: Registered, folder: Path) -> dict[str, bytes]:
    """What training and registration left to judge the version by, file by file."""
    registry.download(registered.run, folder.name, folder.parent)
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    if missing := sorted(evidence.REQUIRED - files.keys()):
        raise GateRefused(
            f"run {registered.run} has no {', '.join(missing)} among its evidence; train again"
        )
    shutil.rmtree(folder)  # of all this the image needs the signature alone
    return files


def _image(stack: Stack, registered: Registered, context: Path, say: Callable[[str], None]) -> str:
    """Build and push; returns the digest that the registry itself answers."""
    url, login = stack.outputs.registry.url, stack.registry_login
    host = images.host(url)
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
            "SIGNER": registered.signer,
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
