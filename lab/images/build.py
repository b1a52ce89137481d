"""Builds what the mirror lacks with buildah and pushes it there, under one lock per machine."""

import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from lab import paths, toolchain
from lab.errors import LabError
from lab.images import base
from lab.images.catalog import HERE, MIRRORED, RECIPES, Image, images
from lab.lock import alone

_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_SECONDS = 10
_LINES_SHOWN = 10
_WORK = "image-"


def ensure(mirror: str, say: Callable[[str], None]) -> None:
    """Builds and pushes to `mirror` (host:port) each image it does not hold as described here.

    Raises LabError when one cannot be built; those before it stay.
    """
    if not missing(mirror):
        return
    with alone(paths.cache() / "images.lock", say):
        for left in paths.cache().glob(f"{_WORK}*"):
            shutil.rmtree(left)  # of a build that was killed
        for image in missing(mirror):
            began = time.monotonic()
            say(f"  building {image.name}")
            _build(image, mirror)
            say(f"  {image.name:<52}{time.monotonic() - began:6.1f} s")


def missing(mirror: str) -> list[Image]:
    """Those that have to be built."""
    return [image for image in images() if not has(mirror, image.repository, image.mark())]


def has(mirror: str, repository: str, tag: str) -> bool:
    """Whether the mirror holds an image. LabError when the mirror does not answer."""
    request = urllib.request.Request(
        f"http://{mirror}/v2/{repository}/manifests/{tag}",
        method="HEAD",
        headers={"Accept": ", ".join(_MANIFESTS)},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise LabError(f"the image mirror at {mirror} answers {error.code}") from None
    except OSError as error:
        raise LabError(f"the image mirror at {mirror} does not answer: {error}") from None


def _build(image: Image, mirror: str) -> None:
    logs = paths.cache() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    if image.tool:
        toolchain.ensure([image.tool])
    # Storage of its own, without mounts: when this is killed, a plain folder is left.
    with tempfile.TemporaryDirectory(dir=paths.cache(), prefix=_WORK) as work:
        folder = Path(work)
        context = folder / "context"
        context.mkdir()
        _fill(image, context, logs / f"image-{image.recipe}-base.log")
        (folder / "registries.conf").write_text(registries(mirror))
        log = logs / f"image-{image.recipe}.log"
        log.unlink(missing_ok=True)
        recipe = f"--file={image.dockerfile}"
        options = ["--isolation=chroot", "--timestamp=0", "--layers=false", recipe]
        _buildah(folder, log, "bud", *options, f"--tag={image.name}", str(context))
        for tag in (image.tag, image.mark()):
            target = f"docker://{mirror}/{image.repository}:{tag}"
            _buildah(folder, log, "push", "--tls-verify=false", image.name, target)


def registries(mirror: str) -> str:
    """A registries.conf by which Dockerfiles find their bases in the mirror."""
    return "".join(
        f'[[registry]]\nlocation = "{name}"\n'
        f'[[registry.mirror]]\nlocation = "{mirror}/{name}"\ninsecure = true\n'
        for name in MIRRORED
    )


def _buildah(folder: Path, log: Path, *arguments: str) -> None:
    storage = [f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}"]
    with log.open("a") as output:
        done = subprocess.run(
            ["buildah", *storage, "--storage-driver=vfs", *arguments],
            env={**os.environ, "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf")},
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        last = "\n".join(log.read_text().splitlines()[-_LINES_SHOWN:])
        raise LabError(f"buildah {arguments[0]} failed ({log}):\n{last}")


def _fill(image: Image, context: Path, log: Path) -> None:
    """Puts into `context` what the recipe copies."""
    if image.packages:
        base.rootfs(context, log, image.packages)
    if image.tool:
        shutil.copy2(toolchain.binary(image.binary or image.tool), context)
    if image.program:
        _compile(HERE / image.program / "main.go", context / image.program)
    for name in image.files:
        # An absolute name stays as it is: the machine's own file.
        shutil.copy2(RECIPES / name, context)


def _compile(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run(
            ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(target), str(source)],
            env={**os.environ, "CGO_ENABLED": "0", "GOCACHE": cache, "GOFLAGS": ""},
            check=True,
        )
