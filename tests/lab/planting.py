"""Puts a secret of our own into each place where none must be, each in another way."""

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from promotion.ledger import Ledger
from tests.lab.places import MANIFESTS, Stack

_NAME = "bait"


def state(stack: Stack, bait: str) -> None:
    """In an address among the outputs, as a text in hex."""
    _told_as_address(stack, bait.encode().hex())


def outputs(stack: Stack, bait: str) -> None:
    """In an address among the outputs."""
    _told_as_address(stack, bait)


def ferry(stack: Stack, bait: str) -> None:
    """In an address that `ferry status` tells, as a login."""
    _told_as_address(stack, _login(bait))


def files(stack: Stack, bait: str) -> None:
    """In a comment of the stack file, as a login."""
    with stack.clone.file.open("a") as file:
        file.write(f"# {_login(bait)}\n")


def ledger(stack: Stack, bait: str) -> None:
    """In the reason of an attempt."""
    path = stack.clone.folder / "ledger" / f"{stack.clone.stack}.jsonl"
    Ledger(path).append(
        model=stack.clone.model, action="pin", outcome="refused", reason=f'"{bait}" is no version'
    )


def history(stack: Stack, bait: str) -> None:
    """In an object of Git's that no commit leads to."""
    file = stack.clone.folder.parent / _NAME
    file.write_text(f"password: {bait}\n")
    stack.read("git", "hash-object", "-w", str(file))


def logs(stack: Stack, bait: str) -> None:
    """By a Job that says it."""
    _run(stack, f"{_NAME}-logs", f"print({_login(bait)!r})")


def events(stack: Stack, bait: str) -> None:
    """In the message of an event."""
    namespace = f"{stack.clone.stack}-jobs"
    _create(
        stack,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": _NAME, "namespace": namespace},
            "involvedObject": {"kind": "Pod", "name": _NAME, "namespace": namespace},
            "reason": "Planted",
            "message": f"no login with {bait.encode().hex().upper()}",
            "type": "Normal",
        },
    )


def objects(stack: Stack, bait: str) -> None:
    """In the environment of a Job, in its annotations, and in its labels as hex."""
    _run(stack, f"{_NAME}-objects", "pass", told=bait)


def bucket(stack: Stack, bait: str) -> None:
    """In an object that is packed, as the log of requests is."""
    line = json.dumps({"features": {"note": bait}}).encode()
    stack.bucket.put_object(Key=f"reports/{_NAME}.jsonl.gz", Body=gzip.compress(line))


def images(stack: Stack, bait: str) -> None:
    """In a file of an image's only layer."""
    content = f"[default]\naws_secret_access_key = {bait}\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as layer:
        entry = tarfile.TarInfo("root/.aws/credentials")
        entry.size = len(content)
        layer.addfile(entry, io.BytesIO(content))
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}}).encode()
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[1],
        "config": {"mediaType": f"{kind}.config.v1+json", **_pushed(stack, config)},
        "layers": [{"mediaType": f"{kind}.layer.v1.tar+gzip", **_pushed(stack, packed.getvalue())}],
    }
    stack.ask(
        "registry", "PUT", f"/v2/{_NAME}/manifests/1",
        data=json.dumps(manifest), headers={"Content-Type": MANIFESTS[1]},
    )  # fmt: skip


def tracking(stack: Stack, bait: str) -> None:
    """In the tag of an experiment."""
    asked = {"name": _NAME, "tags": [{"key": "login", "value": _login(bait)}]}
    stack.ask("mlflow", "POST", "/api/2.0/mlflow/experiments/create", json=asked)


PLANTED: dict[str, tuple[Callable[[Stack, str], None], set[str]]] = {
    "state": (state, {"hex"}),
    "outputs": (outputs, {"plain"}),
    "ferry": (ferry, {"base64"}),
    "files": (files, {"base64"}),
    "ledger": (ledger, {"plain"}),
    "history": (history, {"plain"}),
    "logs": (logs, {"base64"}),
    "events": (events, {"hex"}),
    "objects": (objects, {"plain", "base64", "hex"}),
    "bucket": (bucket, {"plain"}),
    "images": (images, {"plain"}),
    "tracking": (tracking, {"base64"}),
}
"""By place, who puts a secret there, and in which encodings."""


def _login(bait: str) -> str:
    """As basic authentication has it: two bytes of the base64 are the user's."""
    return base64.b64encode(f"me:{bait}".encode()).decode()


def _told_as_address(stack: Stack, text: str) -> None:
    exported = json.loads(stack.pulumi("stack", "export"))
    (root,) = (
        each
        for each in exported["deployment"]["resources"]
        if each["type"] == "pulumi:pulumi:Stack"
    )
    root["outputs"]["prometheus"]["url"] += f"#{text}"
    file = stack.clone.folder.parent / f"{_NAME}.json"
    file.write_text(json.dumps(exported))
    stack.pulumi("stack", "import", "--file", str(file))
    file.unlink()


def _run(stack: Stack, name: str, code: str, told: str | None = None) -> None:
    """Runs `code` to its end, in a Job like the model's; what is `told` is written on it."""
    at = ("--namespace", f"{stack.clone.stack}-jobs")
    of = f"--from=cronjob/{stack.clone.model}-train"
    made = stack.read(
        "kubectl", "create", "job", name, *at, of, "--dry-run=client", "--output=json"
    )
    job: dict[str, Any] = json.loads(made)
    pod = job["spec"]["template"]["spec"]
    pod["initContainers"] = []
    (container,) = pod["containers"]
    container["command"] = ["python", "-c", code]
    if told is not None:
        container["env"].append({"name": "PLANTED", "value": told})
        job["metadata"].setdefault("annotations", {})["planted"] = _login(told)
        job["metadata"].setdefault("labels", {})["planted"] = told.encode().hex()
    _create(stack, job)
    stack.read("kubectl", "wait", "--for=condition=Complete", "--timeout=600s", f"job/{name}", *at)


def _create(stack: Stack, manifest: dict[str, Any]) -> None:
    subprocess.run(
        ["kubectl", "create", "--filename=-"],
        cwd=stack.clone.folder, env=stack.clone.environment,
        input=json.dumps(manifest).encode(), check=True,
    )  # fmt: skip


def _pushed(stack: Stack, blob: bytes) -> dict[str, Any]:
    """Descriptor of a blob that was pushed."""
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    begun = stack.ask("registry", "POST", f"/v2/{_NAME}/blobs/uploads/")
    stack.ask(
        "registry", "PUT", urljoin(begun.url, begun.headers["Location"]),
        params={"digest": digest}, data=blob,
        headers={"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    return {"digest": digest, "size": len(blob)}
