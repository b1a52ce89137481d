"""Releases that pass every gate, with images that a registry takes, and no model in them."""

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

import requests

from infra.settings import Data
from promotion import evidence
from promotion.release import Release, digest
from tests.unit.test_gates import DATA, KEY, SIGNER, card, documents
from tests.unit.test_release import ZEROS, a_release

MODEL = "credit-default"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def make(bucket: Any, registry: str, login: tuple[str, str], version: int) -> Release:  # noqa: ANN401
    """A release with its evidence in the bucket and its image in the registry."""
    weights = f"sha256:{version:064x}"
    files = {f"{name}.json": json.dumps(found).encode() for name, found in documents().items()}
    text = card().replace(ZEROS, weights)
    files |= {"card.md": text.encode(), "card.html": b"<html>", "signer.pem": KEY}
    made = a_release(
        version=version,
        image=push(registry, login, version),
        weights=weights,
        signer=SIGNER,
        data=Data(key="d", version_id="v", sha256=DATA),
        files={name: digest(content) for name, content in files.items()},
    )
    stored = {**files, evidence.RECORD: made.document()}
    evidence.write(bucket, evidence.prefix(MODEL, version), stored, lock_days=1)
    return made


def registered(made: Release) -> dict[str, Any]:
    """As MLflow tells of the release's version."""
    tags = {name: getattr(made, name) for name in ("commit", "features", "weights", "signer")}
    tags |= {"dirty": "false", "data": made.data.model_dump_json(by_alias=True)}
    return {
        "name": made.model,
        "version": str(made.version),
        "status": "READY",
        "run_id": made.run,
        "tags": [{"key": f"ferry.{key}", "value": value} for key, value in tags.items()],
    }


def push(registry: str, login: tuple[str, str], version: int) -> str:
    """An image of one small file; its digest."""
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        content = f"version {version}\n".encode()
        entry = tarfile.TarInfo("version")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    plain, layer = tape.getvalue(), gzip.compress(tape.getvalue(), mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _described(_CONFIG, config),
            "layers": [_described(_LAYER, layer)],
        }
    ).encode()
    at = f"{registry}/v2/{MODEL}"
    for blob in (config, layer):
        begun = requests.post(f"{at}/blobs/uploads/", auth=login, timeout=30)
        begun.raise_for_status()
        place = begun.headers["Location"]
        mark = "&" if "?" in place else "?"
        requests.put(
            f"{place}{mark}digest={digest(blob)}", data=blob, auth=login, timeout=30,
            headers={"content-type": "application/octet-stream"},
        ).raise_for_status()  # fmt: skip
    requests.put(
        f"{at}/manifests/v{version}", data=manifest, auth=login, timeout=30,
        headers={"content-type": _MANIFEST},
    ).raise_for_status()  # fmt: skip
    return digest(manifest)


def _described(media: str, content: bytes) -> dict[str, Any]:
    found = hashlib.sha256(content).hexdigest()
    return {"mediaType": media, "digest": f"sha256:{found}", "size": len(content)}
