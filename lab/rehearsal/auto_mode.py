"""Plays what a cluster of EKS' in Auto Mode has beyond Kubernetes: load balancers."""

import contextlib
import time
from typing import Self

from lab.rehearsal.player import Player
from lab.standins.kubernetes.client import ApiError, Object, Unreachable

GROUP = "eks.amazonaws.com"
_HELD = "group.ingress.k8s.aws/ferry"
_CONTROLLER = f"{GROUP}/alb"
_HOST = "internal-k8s-ferry.elb.amazonaws.com"
_NETWORKING = "/apis/networking.k8s.io/v1"
_PATIENCE = 30  # seconds
_MERGE = "application/merge-patch+json"
_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(kind: str, plural: str, group: str) -> Object:
    """The definition of a kind that Auto Mode brings, open to any fields."""
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    served = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _SCHEMA},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Cluster", "names": names, "versions": [served]},
    }


class AutoMode(Player):
    """Balances load.

    An Ingress gets a load balancer, and a finalizer with it, that is only let go while the class
    and its parameters are still there: as AWS' controller, which asks them first.
    """

    pause = 0.5

    def __enter__(self) -> Self:
        for known in (
            definition("IngressClassParams", "ingressclassparams", GROUP),
            definition("NodePool", "nodepools", "karpenter.sh"),
        ):
            self._client.create(known, "auto-mode", dry_run=False)
            self._await(known)
        return super().__enter__()

    def _await(self, known: Object) -> None:
        path = f"/apis/{known['spec']['group']}/v1/{known['spec']['names']['plural']}"
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._client.request("GET", path)
                return
            except ApiError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def look(self) -> None:
        # What is changed or deleted meanwhile is looked at again; the API server may end first.
        with contextlib.suppress(ApiError, Unreachable):
            for each in self._client.request("GET", f"{_NETWORKING}/ingresses")["items"]:
                with contextlib.suppress(ApiError):
                    self._balance(each)

    def _balance(self, ingress: Object) -> None:
        metadata = ingress["metadata"]
        path = f"{_NETWORKING}/namespaces/{metadata['namespace']}/ingresses/{metadata['name']}"
        held = _HELD in metadata.get("finalizers", [])
        if not self._answers_for(ingress):
            return
        if "deletionTimestamp" in metadata:
            if held:
                self._patch(path, {"metadata": {"finalizers": None}})
        elif not held:
            self._patch(path, {"metadata": {"finalizers": [_HELD]}})
            balancer = {"loadBalancer": {"ingress": [{"hostname": _HOST}]}}
            self._patch(f"{path}/status", {"status": balancer})

    def _answers_for(self, ingress: Object) -> bool:
        name = ingress["spec"].get("ingressClassName")
        found = self._client.request("GET", f"{_NETWORKING}/ingressclasses/{name}")
        parameters = found["spec"].get("parameters") or {}
        self._client.request("GET", f"/apis/{GROUP}/v1/ingressclassparams/{parameters.get('name')}")
        return found["spec"]["controller"] == _CONTROLLER

    def _patch(self, path: str, body: Object) -> None:
        self._client.request("PATCH", path, body=body, content_type=_MERGE)
