"""Why an object did not become ready, in the words of its Pods and events."""

from lab.standins.kubernetes.client import ApiError, Client, Object
from lab.standins.kubernetes.readiness import condition

_STARTING = ("ContainerCreating", "PodInitializing")
_REVISION = "deployment.kubernetes.io/revision"


def reasons(live: Object, client: Client) -> list[str]:
    """One line per trouble; empty if nothing says why. Never raises for a refusal of the API."""
    try:
        pods = _pods(live, client)
        found = [line for pod in pods for line in _pod(pod, client)]
        found = found or _warnings(live, client)
    except ApiError as error:
        return [f"its Pods cannot be read: {error}"]
    return list(dict.fromkeys(found))


def _pods(live: Object, client: Client) -> list[Object]:
    kind = live["kind"]
    if kind == "Pod":
        return [live]
    selector = (live.get("spec") or {}).get("selector") or {}
    labels = selector.get("matchLabels") if kind != "Service" else selector
    if kind not in ("Deployment", "StatefulSet", "DaemonSet", "Job", "Service") or not labels:
        return []
    namespace = live["metadata"]["namespace"]
    query = ",".join(f"{key}={text}" for key, text in labels.items())
    pods = client.find("v1", "Pod", namespace, labelSelector=query)
    if kind == "Service":
        return pods
    owners = {live["metadata"]["uid"]}
    if kind == "Deployment":
        owners = _newest_replica_set(live, query, client)
    return [pod for pod in pods if owners & _owners(pod)]


def _newest_replica_set(live: Object, query: str, client: Client) -> set[str]:
    namespace = live["metadata"]["namespace"]
    sets = [
        each
        for each in client.find("apps/v1", "ReplicaSet", namespace, labelSelector=query)
        if live["metadata"]["uid"] in _owners(each)
    ]
    newest = max(sets, key=_revision, default=None)
    return {newest["metadata"]["uid"]} if newest else set()


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))


def _owners(each: Object) -> set[str]:
    return {owner["uid"] for owner in each["metadata"].get("ownerReferences") or []}


def _pod(pod: Object, client: Client) -> list[str]:
    name = f"Pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    status = pod.get("status") or {}
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return [f"{name}: [{scheduled.get('reason')}] {scheduled.get('message')}"]
    containers = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    lines = [line for each in containers if (line := _container(each))]
    if not lines and status.get("phase") == "Failed":
        lines = [f"[{status.get('reason', 'Failed')}] {status.get('message', '')}"]
    unready = any(not each.get("ready") and not _succeeded(each) for each in containers)
    if not lines and (unready or not containers):
        lines = _warnings(pod, client)
    return [f"{name}: {line}" for line in lines]


def _container(status: Object) -> str:
    """What is wrong with a container; "" if nothing is, or it is only starting."""
    state, last = status.get("state") or {}, status.get("lastState") or {}
    parts = []
    pending = state.get("waiting") or {}
    if pending.get("reason") and pending["reason"] not in _STARTING:
        parts.append(f"[{pending['reason']}] {pending.get('message', '')}".strip())
    ended = state.get("terminated") or last.get("terminated") or {}
    if ended.get("exitCode"):
        words = (ended.get("message") or "").strip()
        parts.append(
            f"exited with code {ended['exitCode']} ({ended.get('reason', 'Error')})"
            + (f": {words}" if words else "")
        )
    return f"container {status['name']}: {'; '.join(parts)}" if parts else ""


def _succeeded(status: Object) -> bool:
    return ((status.get("state") or {}).get("terminated") or {}).get("exitCode") == 0


def _warnings(live: Object, client: Client) -> list[str]:
    """The newest warning of each reason among the object's events, and its ReplicaSets'."""
    failure = condition(live, "ReplicaFailure")
    lines = {}
    if failure.get("status") == "True":
        lines[failure.get("reason")] = f"[{failure.get('reason')}] {failure.get('message')}"
    uid = live["metadata"].get("uid", "")
    namespace = live["metadata"].get("namespace")
    if not namespace:
        return list(lines.values())
    events = client.find(
        "v1", "Event", namespace, fieldSelector=f"involvedObject.uid={uid},type=Warning"
    )
    for event in sorted(events, key=lambda each: each.get("lastTimestamp") or ""):
        lines[event.get("reason")] = f"[{event.get('reason')}] {event.get('message')}"
    return list(lines.values())
