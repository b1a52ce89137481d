"""Images by digest: build and push with the `docker` command, look up over the registry's API."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import requests

from promotion.refusals import DependencyDown, GateRefused

_MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    )
)
_TIMEOUT = 30  # seconds


def build(context: Path, dockerfile: str, reference: str, arguments: Mapping[str, str]) -> None:
    """Build `context` into `reference`; `arguments` become build arguments.

    Raises `GateRefused` when the build fails: its own log has already been shown.
    """
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    _docker("build", "-t", reference, "-f", str(context / dockerfile), *options, str(context))


def push(reference: str) -> None:
    """Push `reference`; the credentials are those of the last `login`."""
    _docker("push", reference)


def login(registry: str, username: str, password: str) -> None:
    """Log the `docker` command in; the password travels on standard input only."""
    _docker("login", "-u", username, "--password-stdin", registry, stdin=password)


def digest(registry: str, repository: str, tag: str, auth: tuple[str, str]) -> str | None:
    """`sha256:…` that the registry answers for a tag or digest; None when it has no such image.

    Source: OCI Distribution Specification 1.1, "Checking if content exists in the registry".
    """
    at = host(registry)
    scheme = "http" if registry.startswith("http://") else "https"
    url = f"{scheme}://{at}/v2/{repository}/manifests/{tag}"
    try:
        answer = requests.head(url, headers={"Accept": _MANIFESTS}, auth=auth, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise DependencyDown(f"the registry {at} does not answer: {error}") from error
    if answer.status_code == requests.codes.not_found:
        return None
    if not answer.ok:
        raise DependencyDown(f"the registry answers {answer.status_code} for {url}")
    if (found := answer.headers.get("Docker-Content-Digest")) is None:
        raise DependencyDown(f"what answers at {url} is no registry: it names no digest")
    return found


def host(registry: str) -> str:
    """A registry's URL as the first part of image names."""
    return registry.split("://", 1)[-1].rstrip("/")


def context(commit: str, folders: tuple[str, ...], repository: Path, into: Path) -> None:
    """Lay the tracked `folders` as they were at `commit` into `into`, and nothing else.

    Raises `GateRefused` when the commit is not in this clone.
    """
    with tempfile.TemporaryFile() as archive:
        taken = subprocess.run(
            ["git", "-C", str(repository), "archive", "--format=tar", commit, *folders],
            stdout=archive, stderr=subprocess.PIPE, text=False, check=False,
        )  # fmt: skip
        if taken.returncode:
            reason = taken.stderr.decode(errors="replace").strip()
            raise GateRefused(f"commit {commit} can't be read here ({reason}); fetch it first")
        archive.seek(0)
        subprocess.run(["tar", "-x", "-C", str(into)], stdin=archive, check=True)


def _docker(*arguments: str, stdin: str | None = None) -> None:
    try:
        done = subprocess.run(["docker", *arguments], input=stdin, text=True, check=False)
    except FileNotFoundError as error:
        raise DependencyDown(
            'there is no `docker` on PATH; run `eval "$(make -s env)"` first'
        ) from error
    if done.returncode:
        raise GateRefused(f"`docker {arguments[0]}` failed with exit code {done.returncode}")
