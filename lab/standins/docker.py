"""Stands in for the provider `docker`: images, built and pushed with the `docker` on PATH."""

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab.standins import build_context, reference
from lab.standins.difference import differences
from lab.standins.docker_command import Docker
from lab.standins.plugin import serve
from lab.standins.provider import (
    Diff,
    Invalid,
    Operation,
    Properties,
    Provider,
    Refused,
    State,
)
from lab.standins.values import UNKNOWN, has_unknown, rewrap, unwrap

_IMAGE: Final = "docker:index/image:Image"
_INPUTS: Final = {
    "": frozenset({"build", "buildOnPreview", "imageName", "registry", "skipPush"}),
    "build": frozenset({"args", "builderVersion", "context", "dockerfile", "platform", "target"}),
    "registry": frozenset({"password", "server", "username"}),
}
# Check adds it, as the official provider does: so a changed file is a changed input.
_DIGEST: Final = "contextDigest"
_LABEL: Final = "dev.ferry.context"
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class DockerProvider(Provider):
    """Covers `docker.Image`."""

    name, version = "docker", "5.2.0"

    def check_config(self, new: Properties) -> Properties:
        if failures := {
            key: f"the provider argument {key} is not covered by the lab's stand-in for docker; "
            "set DOCKER_HOST, or use the official plugin"
            for key in new
            if not key.startswith("__") and key not in {"version", "pluginDownloadURL"}
        }:
            raise Invalid(failures)
        return new

    def check(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        if operation.type != _IMAGE:
            raise self._refused(operation.type)
        plain = unwrap(new)
        if failures := _complaints(plain):
            raise Invalid(failures)
        build = _part(plain, "build")
        if has_unknown([build.get("context"), build.get("dockerfile")]):
            known: Any = UNKNOWN
        else:
            context, dockerfile = _places(build)
            try:
                known = build_context.digest(context, dockerfile)
            except OSError as error:
                problem = f"{error.filename}: {error.strerror}"
                raise Invalid({"build": f"the build context cannot be read: {problem}"}) from None
        # `build` itself may be marked secret; its parts are what counts.
        return {**new, "build": rewrap({**build, _DIGEST: known}, new.get("build"))}

    def diff(
        self, operation: Operation, old_inputs: Properties, old: Properties, new: Properties
    ) -> Diff:
        # Other credentials give no other image.
        before, after = map(_without_credentials, (unwrap(old_inputs), unwrap(new)))
        return Diff(changes=differences(before, after, replace=frozenset({"imageName"})))

    def create(self, operation: Operation, inputs: Properties) -> State:
        plain = unwrap(inputs)
        if operation.preview:
            return State(id="", inputs=inputs, outputs=rewrap(_known(plain), inputs))
        outputs = _made(operation, plain)
        return State(id=plain["imageName"], inputs=inputs, outputs=rewrap(outputs, inputs))

    def read(self, operation: Operation, inputs: Properties, outputs: Properties) -> State | None:
        if not outputs:
            raise Refused(
                f"{operation.type} cannot be imported: an image does not know its context"
            )
        return State(id=operation.id, inputs=inputs, outputs=outputs)

    def update(
        self, operation: Operation, old_inputs: Properties, old: Properties, inputs: Properties
    ) -> Properties:
        plain = unwrap(inputs)
        outputs = _known(plain) if operation.preview else _made(operation, plain)
        return rewrap(outputs, inputs)

    def delete(self, operation: Operation, inputs: Properties, outputs: Properties) -> None:
        """The image stays, here and in the registry, as the official provider has it."""


def label(build: Mapping[str, Any]) -> str:
    """What two builds have in common exactly when they are given the same: 64 hex digits."""
    kept = {key: build.get(key) for key in ("args", "target", "platform", _DIGEST)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _made(operation: Operation, inputs: Properties) -> Properties:
    """The outputs, once the image is built and pushed. Raises ProviderError."""
    # An update that builds nothing needs no HTTP client, which takes long to import.
    from lab.standins import image_registry

    build, registry = inputs["build"], inputs.get("registry") or {}
    name = reference.parse(inputs["imageName"]).tagged
    labels = {_LABEL: label(build)}
    user, password = registry.get("username"), registry.get("password")
    with Docker(operation.status, operation.cancelled) as docker:
        if not inputs.get("skipPush"):
            image_registry.wait(name.host)
        if user and password:
            docker.login(reference.server(registry.get("server") or name.host), user, password)
        if not inputs.get("skipPush"):
            credentials = (user, password) if user and password else None
            found = image_registry.find(name, credentials)
            if found and found.labels.get(_LABEL) == labels[_LABEL]:
                operation.status(f"{name} is in the registry already")
                return _known(inputs) | _pushed(name, found.digest, found.image)
        docker.build(name, *_places(build), build, labels)
        image = docker.image(name)
        if inputs.get("skipPush"):
            return _known(inputs) | {"repoDigest": image, "imageId": image}
        return _known(inputs) | _pushed(name, docker.push(name), image)


def _pushed(name: reference.Reference, digest: str, image: str) -> Properties:
    return {"repoDigest": f"{name.repository}@{digest}", "imageId": image}


def _known(inputs: Properties) -> Properties:
    """The outputs that are known before anything is built."""
    build, name = _part(inputs, "build"), inputs["imageName"]
    context, dockerfile = build.get("context") or ".", build.get("dockerfile")
    known = {
        "imageName": name,
        "baseImageName": name,
        "context": context,
        "dockerfile": dockerfile or UNKNOWN,
        "platform": build.get("platform") or f"linux/{_MACHINES.get(platform.machine(), 'amd64')}",
    }
    if not has_unknown(context) and not dockerfile:
        known["dockerfile"] = str(Path(context, "Dockerfile"))
    if not has_unknown(name):
        server = _part(inputs, "registry").get("server")
        known["registryServer"] = server or reference.parse(name).host
    return {key: item for key, item in known.items() if not has_unknown(item)}


def _part(inputs: Properties, name: str) -> dict[str, Any]:
    """`build` or `registry`; while the whole of it is unknown, so is each part that matters."""
    given = inputs.get(name) or {}
    return given if isinstance(given, dict) else {"context": UNKNOWN, "server": UNKNOWN}


def _places(build: Mapping[str, Any]) -> tuple[Path, Path]:
    """The context and the Dockerfile, as paths from the program's folder."""
    context = Path(build.get("context") or ".")
    return context, Path(build.get("dockerfile") or context / "Dockerfile")


def _complaints(inputs: Properties) -> dict[str, str]:
    found: dict[str, str] = {}
    for part, covered in _INPUTS.items():
        given = inputs if not part else inputs.get(part) or {}
        if not isinstance(given, dict):
            continue  # not known yet
        for key in sorted(given.keys() - covered):
            path = f"{part}.{key}" if part else key
            found[path] = (
                f"{path} is not covered by the lab's stand-in for docker; use the official plugin"
            )
    if inputs.get("buildOnPreview") is True:
        found["buildOnPreview"] = "buildOnPreview is not covered: a preview builds nothing"
    name = inputs.get("imageName")
    if isinstance(name, str):
        try:
            reference.parse(name)
        except ValueError as error:
            found["imageName"] = str(error)
    return found


def _without_credentials(inputs: Properties) -> Properties:
    registry = inputs.get("registry")
    if not isinstance(registry, dict):
        return inputs
    return {**inputs, "registry": {"server": registry.get("server")}}


if __name__ == "__main__":
    serve(DockerProvider())
