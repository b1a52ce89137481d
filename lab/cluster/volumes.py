"""Volumes of class `standard`: a folder of the lab per claim, gone with the claim."""

import logging
import shutil
from pathlib import Path
from typing import Any, cast

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from lab.cluster.follow import snapshots
from lab.cluster.identity import Lab

PROVISIONER = "lab.ferry.test/folder"
_CLAIMED_BY = "volume.kubernetes.io/storage-provisioner"
_MADE_BY = "pv.kubernetes.io/provisioned-by"
_CONFLICT, _GONE = 409, 404

_log = logging.getLogger(__name__)


def provision(lab: Lab, api: client.CoreV1Api) -> None:
    """Makes a volume for each claim as it appears; returns when the watch ends."""
    for claims in snapshots(api.list_persistent_volume_claim_for_all_namespaces):
        for claim in filter(wants_volume, claims):
            _provision(lab, api, claim)


def reclaim(lab: Lab, api: client.CoreV1Api) -> None:
    """Deletes each volume, and its folder, as it is released; returns when the watch ends."""
    for found in snapshots(api.list_persistent_volume):
        for released in filter(is_released, found):
            _reclaim(lab, api, released)


def wants_volume(claim: dict[str, Any]) -> bool:
    """Whether the claim is bound to nothing and waits for this provisioner."""
    made_for = claim["metadata"].get("annotations", {}).get(_CLAIMED_BY)
    return made_for == PROVISIONER and not claim["spec"].get("volumeName")


def is_released(volume: dict[str, Any]) -> bool:
    """Whether the volume is one of ours whose claim is gone, and may go with it."""
    return (
        volume["metadata"].get("annotations", {}).get(_MADE_BY) == PROVISIONER
        and volume.get("status", {}).get("phase") == "Released"
        and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    )


def volume(lab: Lab, claim: dict[str, Any]) -> dict[str, Any]:
    """The PersistentVolume for a claim, named by the claim's uid so that it is made once."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    folder = f"{metadata['namespace']}-{metadata['name']}-{metadata['uid']}"
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [lab.name]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_MADE_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec["storageClassName"],
            "local": {"path": str(lab.volumes / folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


def _provision(lab: Lab, api: client.CoreV1Api, claim: dict[str, Any]) -> None:
    body = volume(lab, claim)
    folder = Path(body["spec"]["local"]["path"])
    folder.mkdir(parents=True, exist_ok=True)
    # Any pod may write to its own volume, whatever its uid, as on a freshly made disk.
    folder.chmod(0o777)
    try:
        # The client takes plain objects as well as its own classes.
        api.create_persistent_volume(cast(client.V1PersistentVolume, body))
    except ApiException as error:
        if error.status != _CONFLICT:
            raise
    _log.info("%s for %s", folder, body["spec"]["claimRef"])


def _reclaim(lab: Lab, api: client.CoreV1Api, released: dict[str, Any]) -> None:
    folder = Path(released["spec"]["local"]["path"])
    if folder.parent == lab.volumes and folder.exists():
        shutil.rmtree(folder)
    try:
        api.delete_persistent_volume(released["metadata"]["name"])
    except ApiException as error:
        if error.status != _GONE:
            raise
    _log.info("%s deleted", folder)
