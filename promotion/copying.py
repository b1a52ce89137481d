"""Copies a release between stacks, by digest: its evidence, file by file, and its image."""

import base64
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from promotion import evidence, images
from promotion.dossier import Evidence
from promotion.refusals import DependencyDown
from promotion.stack import Stack

_PATIENCE = 1800.0  # seconds for one image; a registry that hangs would else be waited for forever


def copy_evidence(found: Evidence, target: Stack) -> None:
    """Store the evidence in the target's bucket, locked for as long as the target locks.

    What is there already stays; other bytes under a name that is taken raise `Conflict`.
    """
    release = found.release
    evidence.write(
        target.bucket(),
        evidence.prefix(release.model, release.version),
        {**found.files, evidence.RECORD: release.document()},
        lock_days=target.settings.platform.data.lock_days,
    )


def copy_image(
    source: Stack, target: Stack, model: str, image: str, tag: str, say: Callable[[str], None]
) -> None:
    """Copy the image into the target's registry, unchanged to the byte; no copy if it is there.

    Raises `DependencyDown` when a registry does not give or take it.
    """
    into, login = target.outputs.registry.url, target.registry_login
    if images.digest(into, model, image, login) == image:
        return
    out, other = source.outputs.registry.url, source.registry_login
    say(f"copying image {model}@{image[:19]}… to {images.host(into)}")
    with tempfile.TemporaryDirectory(prefix="ferry-login-") as folder:
        # A folder of mode 0700, so that no login is on a command line or in anybody's sight.
        authfile = Path(folder, "auth.json")
        logins = {images.host(out): other, images.host(into): login}
        authfile.write_text(json.dumps({"auths": {at: _auth(*of) for at, of in logins.items()}}))
        _skopeo(
            "copy", "--all", "--preserve-digests", "--quiet", f"--authfile={authfile}",
            f"--src-tls-verify={_secure(out)}", f"--dest-tls-verify={_secure(into)}",
            f"docker://{images.host(out)}/{model}@{image}", f"docker://{images.host(into)}/{model}:{tag}",
        )  # fmt: skip
    if images.digest(into, model, image, login) != image:
        raise DependencyDown(
            f"{model}@{image} was copied, yet {images.host(into)} has no such image"
        )


def _skopeo(*arguments: str) -> None:
    try:
        done = subprocess.run(
            ["skopeo", *arguments], capture_output=True, text=True, errors="replace", check=False,
            timeout=_PATIENCE,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise DependencyDown(
            "there is no `skopeo` on PATH, which copies images between registries; install it"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DependencyDown(
            f"`skopeo {arguments[0]}` was given up after {_PATIENCE:g} s: a registry hangs"
        ) from error
    if done.returncode:
        raise DependencyDown(f"`skopeo {arguments[0]}` failed: {done.stderr.strip()[-1000:]}")


def _secure(registry: str) -> str:
    return "false" if registry.startswith("http://") else "true"


def _auth(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}
