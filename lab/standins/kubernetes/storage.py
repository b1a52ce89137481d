"""When a volume, a claim or a CRD can be used."""

from lab.standins.kubernetes.client import ApiError, Client, Object
from lab.standins.kubernetes.readiness import READY, Verdict, condition, failed, holds, waiting


def claim(live: Object, client: Client, elapsed: float) -> Verdict:
    """It is bound, or its class binds only when the first Pod comes."""
    phase = (live.get("status") or {}).get("phase")
    if phase == "Bound":
        return READY
    if phase == "Lost":
        return failed("its volume is lost")
    if _waits_for_consumer(live["spec"].get("storageClassName"), client):
        return READY
    return waiting("Waiting for a volume to be bound")


def volume(live: Object, client: Client, elapsed: float) -> Verdict:
    """It is available or bound."""
    status = live.get("status") or {}
    if status.get("phase") in ("Available", "Bound"):
        return READY
    if status.get("phase") == "Failed":
        return failed(status.get("message", ""))
    return waiting("Waiting for the volume to be available")


def definition(live: Object, client: Client, elapsed: float) -> Verdict:
    """The API server serves the new kind."""
    if holds(live, "Established"):
        return READY
    names = condition(live, "NamesAccepted")
    if names.get("status") == "False":
        return failed(f"[{names.get('reason')}] {names.get('message')}")
    return waiting("Waiting for the API server to serve the new kind")


def _waits_for_consumer(name: str | None, client: Client) -> bool:
    if not name:
        return False
    try:
        found = client.get(
            {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
        )
    except ApiError as error:
        if error.missing:
            return False
        raise
    return found.get("volumeBindingMode") == "WaitForFirstConsumer"
