"""Plays scheduler and kubelet of one node: each Pod has the fate of its label `fate`."""

import contextlib
from typing import Any, Self

from lab.rehearsal.player import Player
from lab.standins.kubernetes.client import ApiError, Client, Object, Unreachable

_FATES: dict[str, dict[str, Any]] = {
    "ready": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
    },
    "succeeds": {"phase": "Succeeded"},
    "fails": {
        "phase": "Failed",
        "containerStatuses": [
            {"state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "no weights"}}}
        ],
    },
    "crashes": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {
                "state": {
                    "waiting": {
                        "reason": "CrashLoopBackOff",
                        "message": "back-off 10s restarting failed container",
                    }
                },
                "lastState": {
                    "terminated": {
                        "exitCode": 3,
                        "reason": "Error",
                        "message": "weights differ from the pin",
                    }
                },
            }
        ],
    },
    "has-no-image": {
        "phase": "Pending",
        "containerStatuses": [
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
        ],
    },
    "has-no-node": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient cpu.",
            }
        ],
    },
    "waits": {"phase": "Pending"},
}


_NODE = "node"


class Kubelet(Player):
    """A Pod without a label is `ready`, one of a Job's `of_jobs`."""

    pause = 0.1

    def __init__(self, client: Client, *, of_jobs: str = "ready") -> None:
        super().__init__(client)
        self._of_jobs = of_jobs

    def __enter__(self) -> Self:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": _NODE}}
        self._client.create(node, "kubelet", dry_run=False)
        # Every new node is tainted until it says that it is ready.
        self._client.patch(node, [{"op": "remove", "path": "/spec/taints"}])
        return super().__enter__()

    def look(self) -> None:
        # One is deleted meanwhile, or the API server ends first.
        with contextlib.suppress(ApiError, Unreachable):
            for pod in self._client.request("GET", "/api/v1/pods")["items"]:
                self._decide(pod)

    def _decide(self, pod: Object) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        jobs = any(each["kind"] == "Job" for each in metadata.get("ownerReferences") or [])
        otherwise = self._of_jobs if jobs else "ready"
        fate = (metadata.get("labels") or {}).get("fate", otherwise)
        if "deletionTimestamp" in metadata:
            self._client.request("DELETE", path, body={"gracePeriodSeconds": 0})
        elif not pod["spec"].get("nodeName") and fate != "has-no-node":
            target = {"kind": "Node", "name": _NODE}
            body = {"metadata": {"name": metadata["name"]}, "target": target}
            self._client.request("POST", f"{path}/binding", body=body)
        elif pod["status"].get("message") != fate:
            self._client.request(
                "PATCH",
                f"{path}/status",
                body={"status": _status(pod, fate)},
                content_type="application/strategic-merge-patch+json",
            )


def _status(pod: Object, fate: str) -> Object:
    # EndpointSlices list only what has an address.
    status: Object = {"message": fate, "podIP": "10.1.1.1", "podIPs": [{"ip": "10.1.1.1"}]}
    container = pod["spec"]["containers"][0]
    identity = {"name": container["name"], "image": container["image"], "imageID": ""}
    told = _FATES[fate]
    containers = [
        {**identity, "ready": False, "restartCount": 0, **each}
        for each in told.get("containerStatuses") or []
    ]
    return status | told | ({"containerStatuses": containers} if containers else {})
