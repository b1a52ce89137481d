"""When a Service or an Ingress leads somewhere."""

from collections.abc import Iterator

from lab.standins.kubernetes.client import ApiError, Client, Object
from lab.standins.kubernetes.readiness import READY, Verdict, waiting

_SETTLED = 10.0
"""Seconds after which a Service without any Pod counts as it is, as officially."""


def service(live: Object, client: Client, elapsed: float) -> Verdict:
    """It has an address if it asks for one, and its Pods, if it selects any, are ready."""
    spec = live["spec"]
    if spec.get("type") == "LoadBalancer" and not _published(live):
        return waiting("Waiting for an address from the load balancer")
    if spec.get("type") == "ExternalName" or not spec.get("selector"):
        return READY
    if spec.get("clusterIP") == "None":
        return READY
    ready, pending = _endpoints(live["metadata"]["name"], live["metadata"]["namespace"], client)
    if pending:
        return waiting(f"Waiting for Pods to direct traffic to ({ready}/{ready + pending} ready)")
    if not ready and elapsed < _SETTLED:
        return waiting("Waiting for Pods to direct traffic to")
    return READY


def ingress(live: Object, client: Client, elapsed: float) -> Verdict:
    """Each backend Service has a ready Pod, and the controller has published an address."""
    namespace = live["metadata"]["namespace"]
    for path, name in _backends(live["spec"]):
        if not _leads_somewhere(name, namespace, client):
            return waiting(f"No Service with ready Pods for ingress rule {path} -> {name}")
    if not _published(live):
        return waiting("Waiting for its controller to set .status.loadBalancer")
    return READY


def _published(live: Object) -> bool:
    return bool(((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"))


def _backends(spec: Object) -> Iterator[tuple[str, str]]:
    rules = spec.get("rules") or []
    if default := (spec.get("defaultBackend") or {}).get("service"):
        yield "(default)", default["name"]
    for rule in rules:
        for path in (rule.get("http") or {}).get("paths") or []:
            if backend := path["backend"].get("service"):
                yield f"{rule.get('host', '')}{path.get('path', '')}", backend["name"]


def _leads_somewhere(name: str, namespace: str, client: Client) -> bool:
    metadata = {"name": name, "namespace": namespace}
    try:
        target = client.get({"apiVersion": "v1", "kind": "Service", "metadata": metadata})
    except ApiError as error:
        if error.missing:
            return False
        raise
    if target["spec"].get("type") == "ExternalName":
        return True
    ready, _ = _endpoints(name, namespace, client)
    return ready > 0


def _endpoints(name: str, namespace: str, client: Client) -> tuple[int, int]:
    """How many addresses behind a Service are ready, and how many are not."""
    slices = client.find(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        namespace,
        labelSelector=f"kubernetes.io/service-name={name}",
    )
    conditions = [
        each.get("conditions") or {} for part in slices for each in part.get("endpoints") or []
    ]
    ready = sum(each.get("ready", True) for each in conditions)
    ending = sum(each.get("terminating", False) for each in conditions if not each.get("ready"))
    return ready, len(conditions) - ready - ending
