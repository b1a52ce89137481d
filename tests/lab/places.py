"""Where a stack keeps and tells things, Secrets aside: each place as pieces with their names."""

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.lab import outputs as outputs_of
from tests.lab.clone import Clone

Pieces = Iterator[tuple[str, bytes]]
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_PATIENCE = 120  # seconds for one answer: a layer has hundreds of megabytes
_MOST = 1000
"""Of what is asked for in one request; a stack that was just made has less of everything."""


class Stack:
    """A stack that is up in a clone, as who has all of its logins sees it."""

    def __init__(self, clone: Clone, printed: str) -> None:
        self.clone, self.printed = clone, printed

    def read(self, *command: str, both: bool = False, fails: bool = False) -> bytes:
        """What a command answers; `both`: and what it says beside; `fails`: it may."""
        done = subprocess.run(
            # A table that is folded cuts what stands in it.
            command, cwd=self.clone.folder, env={**self.clone.environment, "COLUMNS": "1000"},
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        assert fails or done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}"
        return done.stdout + (done.stderr if both else b"")

    def pulumi(self, *command: str, both: bool = False) -> bytes:
        of = ("--stack", self.clone.stack, "--non-interactive")
        return self.read("pulumi", *command, *of, both=both)

    def kubernetes(self, *command: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get` finds in all namespaces."""
        told = self.read("kubectl", "get", *command, "--all-namespaces", "--output", "json")
        return json.loads(told)["items"]

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """With the logins."""
        return json.loads(self.pulumi("stack", "output", "--json", "--show-secrets"))

    @property
    def backend(self) -> Path:
        """The folder of the file backend."""
        return Path(urlsplit(self.clone.environment["PULUMI_BACKEND_URL"]).path)

    @cached_property
    def bucket(self) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        return outputs_of.bucket(self.outputs.__getitem__)

    def ask(self, what: str, method: str, path: str, **given: Any) -> requests.Response:  # noqa: ANN401
        """What MLflow or the registry answers to whoever has its login."""
        login = self.outputs["credentials"][what]
        address = path if "://" in path else self.outputs[what]["url"] + path
        answer = requests.request(
            method, address, auth=(login["username"], login["password"]), timeout=_PATIENCE, **given
        )
        assert answer.ok, f"{method} {address}: {answer.status_code}"
        return answer


def state(stack: Stack) -> Pieces:
    """The engine's files: states, their copies, the history of updates."""
    for path in sorted(stack.backend.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(stack.backend)), path.read_bytes()


def outputs(stack: Stack) -> Pieces:
    """What the engine tells of the stack, and what `make up` printed."""
    yield "make up", stack.printed.encode()
    for command in (
        ("stack", "output", "--json"),
        ("stack", "export"),
        ("stack", "history", "--json"),
        ("config", "--json"),
        ("preview", "--json"),
        ("preview", "--diff"),
    ):
        yield " ".join(command), stack.pulumi(*command, both=True)


def ferry(stack: Stack) -> Pieces:
    """What `ferry` tells of the stack."""
    of = ("--stack", stack.clone.stack)
    for command in (
        ("check", *of, "--json"),
        ("status", *of),
        ("status", *of, "--json"),
        ("release", "show", stack.clone.model, *of, "--json"),
        ("history", *of, "--json"),
        ("live", *of, "--json"),
    ):
        yield " ".join(command), stack.read(".venv/bin/ferry", *command, both=True)


def files(stack: Stack) -> Pieces:
    """Every file of the tree, ignored ones with them; what was installed is not ours."""
    listed = stack.read("git", "ls-files", "-z", "--cached", "--others", "--exclude=.venv")
    for name in sorted(filter(None, listed.decode().split("\0"))):
        path = stack.clone.folder / name
        if path.is_file():
            yield name, path.read_bytes()


def ledger(stack: Stack) -> Pieces:
    for path in sorted((stack.clone.folder / "ledger").iterdir()):
        yield path.name, path.read_bytes()


def history(stack: Stack) -> Pieces:
    """Every object of Git's, whether a commit leads to it or not."""
    yield "objects", stack.read("git", "cat-file", "--batch-all-objects", "--batch")


def logs(stack: Stack) -> Pieces:
    """What every container said, also before it was started again."""
    for pod in stack.kubernetes("pods"):
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        for kind in ("initContainerStatuses", "containerStatuses"):
            for each in pod["status"].get(kind, ()):
                command = ("kubectl", "logs", name, f"--namespace={namespace}", "--tail=-1")
                of = (*command, f"--container={each['name']}")
                waits = "waiting" in each["state"]
                yield f"{namespace}/{name} {each['name']}", stack.read(*of, fails=waits)
                if each["restartCount"]:
                    said = stack.read(*of, "--previous", fails=True)
                    yield f"{namespace}/{name} {each['name']}, before", said


def events(stack: Stack) -> Pieces:
    yield "events", json.dumps(stack.kubernetes("events")).encode()


def objects(stack: Stack) -> Pieces:
    """All that the API server shows but Secrets, with labels, annotations and environments."""
    kinds = stack.read("kubectl", "api-resources", "--verbs=list", "--output=name").decode().split()
    assert {"pods", "configmaps", "secrets", "deployments.apps"} <= {*kinds}
    for kind in sorted({*kinds} - {"secrets", "events", "events.events.k8s.io"}):
        yield kind, json.dumps(stack.kubernetes(kind, "--show-managed-fields")).encode()


def bucket(stack: Stack) -> Pieces:
    """Every version of every object."""
    for version in stack.bucket.object_versions.all():
        if version.size is None:
            continue  # says that the object is gone
        found = version.get()
        told = f"{version.object_key}\n{json.dumps(found['Metadata'])}\n".encode()
        yield f"{version.object_key} about", told
        yield version.object_key, found["Body"].read()


def images(stack: Stack) -> Pieces:
    """Every blob and manifest that a tag of the registry leads to, once."""
    seen: set[str] = set()
    listed = stack.ask("registry", "GET", f"/v2/_catalog?n={_MOST}").json()["repositories"]
    for name in listed:
        for tag in stack.ask("registry", "GET", f"/v2/{name}/tags/list").json()["tags"] or ():
            yield from _image(stack, name, tag, seen)


def _image(stack: Stack, name: str, reference: str, seen: set[str]) -> Pieces:
    manifest = stack.ask(
        "registry", "GET", f"/v2/{name}/manifests/{reference}",
        headers={"Accept": ", ".join(MANIFESTS)},
    )  # fmt: skip
    yield f"{name} {reference}", manifest.content
    told = manifest.json()
    for part in told.get("manifests", ()):
        yield from _image(stack, name, part["digest"], seen)
    for part in (*([told["config"]] if "config" in told else ()), *told.get("layers", ())):
        if part["digest"] not in seen:
            seen.add(part["digest"])
            blob = stack.ask("registry", "GET", f"/v2/{name}/blobs/{part['digest']}")
            yield f"{name} {part['digest']}", blob.content


def tracking(stack: Stack) -> Pieces:
    """Experiments, runs, models and versions, as MLflow tells them."""
    api, most = "/api/2.0/mlflow", {"max_results": _MOST}
    found = stack.ask("mlflow", "POST", f"{api}/experiments/search", json=most)
    yield "experiments", found.content
    numbers = [each["experiment_id"] for each in found.json()["experiments"]]
    for name in numbers:
        asked = {"experiment_ids": [name], **most}
        yield (
            f"runs of {name}",
            stack.ask("mlflow", "POST", f"{api}/runs/search", json=asked).content,
        )
    for what in ("registered-models", "model-versions"):
        yield what, stack.ask("mlflow", "GET", f"{api}/{what}/search", params=most).content


PLACES: dict[str, Callable[[Stack], Pieces]] = {
    each.__name__: each
    for each in (
        *(state, outputs, ferry, files, ledger, history),
        *(logs, events, objects, bucket, images, tracking),
    )
}
