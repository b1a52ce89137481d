"""When a Deployment, StatefulSet, DaemonSet, Job or Pod is up."""

from lab.standins.kubernetes.client import Client, Object
from lab.standins.kubernetes.readiness import (
    READY,
    UNSEEN,
    Verdict,
    condition,
    failed,
    holds,
    seen,
    waiting,
)


def deployment(live: Object, client: Client, elapsed: float) -> Verdict:
    """All replicas are of the newest template and available, and none of an older one is left."""
    progress = condition(live, "Progressing")
    if not seen(live):
        return UNSEEN
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return failed(f"[ProgressDeadlineExceeded] {progress.get('message', '')}")
    status, wanted = live.get("status") or {}, live["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return waiting(f"Waiting for Pods of the new template ({updated}/{wanted} created)")
    if status.get("replicas", 0) > updated:
        old = status["replicas"] - updated
        return waiting(f"Waiting for {old} Pods of older templates to end")
    if available < updated:
        return waiting(f"Waiting for Pods to be available ({available}/{wanted})")
    return READY


def stateful_set(live: Object, client: Client, elapsed: float) -> Verdict:
    """All replicas are ready, and of the newest revision unless the strategy holds them back."""
    if not seen(live):
        return UNSEEN
    status, spec = live.get("status") or {}, live["spec"]
    wanted, strategy = spec.get("replicas", 1), spec.get("updateStrategy") or {}
    ready = status.get("readyReplicas", 0)
    if status.get("replicas", 0) != wanted or ready < wanted:
        return waiting(f"Waiting for Pods to be ready ({ready}/{wanted})")
    held = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    if strategy.get("type") == "OnDelete":
        return READY
    updated = status.get("updatedReplicas", 0)
    if updated < wanted - held:
        return waiting(f"Waiting for Pods of the new revision ({updated}/{wanted - held})")
    if not held and status.get("currentRevision") != status.get("updateRevision"):
        return waiting("Waiting for the new revision to become the current one")
    return READY


def daemon_set(live: Object, client: Client, elapsed: float) -> Verdict:
    """Every node that should have the Pod has it, up to date and available."""
    if not seen(live):
        return UNSEEN
    status = live.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if (live["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        updated = wanted
    if min(updated, available) < wanted:
        return waiting(f"Waiting for Pods ({updated}/{wanted} updated, {available} available)")
    return READY


def job(live: Object, client: Client, elapsed: float) -> Verdict:
    """It has completed; a suspended one is not waited for."""
    if holds(live, "Complete") or live["spec"].get("suspend"):
        return READY
    if holds(live, "Failed"):
        why = condition(live, "Failed")
        return failed(f"[{why.get('reason', 'Failed')}] {why.get('message', '')}")
    status = live.get("status") or {}
    done, wanted = status.get("succeeded", 0), live["spec"].get("completions", 1)
    return waiting(f"Waiting for Job to complete ({done}/{wanted} succeeded)")


def pod(live: Object, client: Client, elapsed: float) -> Verdict:
    """It is ready, or has succeeded."""
    phase = (live.get("status") or {}).get("phase")
    if phase == "Succeeded" or (phase == "Running" and holds(live, "Ready")):
        return READY
    if phase == "Failed":
        return failed("Pod failed")
    return waiting(f"Waiting for Pod to be ready (phase {phase})")
