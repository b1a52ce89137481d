"""The few questions the lab asks its own API server, without loading a client library."""

import http.client
import json
import ssl
import time
from typing import Any

from lab.cluster.identity import Lab

_SECONDS = 5
_PAUSE = 0.2
_STUCK = {"ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "CreateContainerError"}


def get(lab: Lab, path: str) -> dict[str, Any]:
    """The object at `path`; empty when the server does not answer, or not with 2xx."""
    return json.loads(_fetch(lab, path) or "{}")


def ready(lab: Lab) -> bool:
    """Whether the API server says it is ready to serve."""
    return _fetch(lab, "/readyz") == "ok"


def ready_within(lab: Lab, seconds: float) -> bool:
    """Whether the API server becomes ready while one waits."""
    limit = time.monotonic() + seconds
    while not ready(lab):
        if time.monotonic() > limit:
            return False
        time.sleep(_PAUSE)
    return True


def ready_since(lab: Lab, moment: str) -> bool:
    """Whether the node said at `moment` (RFC 3339, UTC) or later that it is Ready."""
    node = get(lab, f"/api/v1/nodes/{lab.name}")
    return any(
        condition["type"] == "Ready"
        and condition["status"] == "True"
        and condition["lastHeartbeatTime"] >= moment
        for condition in node.get("status", {}).get("conditions", [])
    )


def deployments(lab: Lab, namespace: str) -> dict[str, bool]:
    """Every Deployment of a namespace, and whether all its replicas are available."""
    found = get(lab, f"/apis/apps/v1/namespaces/{namespace}/deployments")
    return {
        item["metadata"]["name"]: item["status"].get("availableReplicas", 0)
        >= item["spec"].get("replicas", 1)
        for item in found.get("items", [])
    }


def stuck(lab: Lab, namespace: str) -> dict[str, str]:
    """Every pod of a namespace with a container that waits for a remedy, and what it says."""
    found = get(lab, f"/api/v1/namespaces/{namespace}/pods").get("items", [])
    return {
        pod["metadata"]["name"]: f"{waiting['reason']}: {waiting.get('message', '')}"
        for pod in found
        for container in pod["status"].get("containerStatuses", [])
        if (waiting := container["state"].get("waiting", {})).get("reason", "") in _STUCK
    }


def _fetch(lab: Lab, path: str) -> str | None:
    pki = lab.folder / "pki"
    try:
        trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        trust.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        line = http.client.HTTPSConnection(str(lab.address), 6443, timeout=_SECONDS, context=trust)
        line.request("GET", path)
        answer = line.getresponse()
        body = answer.read().decode()
        line.close()
    except (OSError, http.client.HTTPException):
        return None
    return body if answer.status // 100 == 2 else None
