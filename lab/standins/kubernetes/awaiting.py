"""Waits until an object is ready or gone, shows what for, and says why not in the end."""

import time
from collections.abc import Iterator

from lab.standins.kubernetes import blame, networking, storage, waitfor, workloads
from lab.standins.kubernetes.client import ApiError, Client, NoSuchKind, Object, Unreachable
from lab.standins.kubernetes.diffing import REPLACE_UNREADY
from lab.standins.kubernetes.kinds import builtin
from lab.standins.kubernetes.objects import annotation, identity
from lab.standins.kubernetes.readiness import Check, Verdict
from lab.standins.provider import Operation, ProviderError

_DEFAULT_TIMEOUT = 600.0  # seconds
_PATIENCE = 30.0  # seconds without any answer of the API server
_FIRST_LOOK, _NEXT_LOOK = 3.0, 5.0  # seconds until the Pods are asked, and between

_CHECKS: dict[str, Check] = {
    "CustomResourceDefinition": storage.definition,
    "DaemonSet": workloads.daemon_set,
    "Deployment": workloads.deployment,
    "Ingress": networking.ingress,
    "Job": workloads.job,
    "PersistentVolume": storage.volume,
    "PersistentVolumeClaim": storage.claim,
    "Pod": workloads.pod,
    "Service": networking.service,
    "StatefulSet": workloads.stateful_set,
}
# These say how they are when they are read, too.
_CHECKED_ON_READ = ("DaemonSet", "Deployment", "Ingress", "Pod", "Service", "StatefulSet")

_SKIPS_DELETION = (
    "DaemonSet Deployment Job Namespace Pod ReplicationController StatefulSet"  # as officially
)


class NotReady(ProviderError):
    """The object is there but not ready: `live` as it is, `reasons` beginning with the summary."""

    def __init__(self, live: Object, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.live = live
        self.reasons = reasons


def until_ready(operation: Operation, inputs: Object, live: Object, client: Client) -> Object:
    """The object when it is ready. Raises NotReady on failure, timeout or cancellation."""
    checks = _checks(inputs, live)
    if not checks:
        return live
    progress = _Progress(operation, client)
    for elapsed in _ticks(operation, inputs):
        if elapsed:
            live = _again(live, client)
        verdict = _worst([check(live, client, elapsed) for check in checks])
        if verdict.state == "ready":
            progress.clear()
            return live
        if verdict.state == "failed":
            raise NotReady(live, [verdict.message, *blame.reasons(live, client)])
        progress.show(verdict.message, elapsed, live)
    summary = "cancelled while waiting" if operation.cancelled.is_set() else "timed out waiting"
    why = [verdict.message, *blame.reasons(live, client)]
    raise NotReady(live, [f"{identity(live)!r} {summary} to be Ready", *why])


def is_unready_job(manifest: Object, client: Client) -> bool:
    """Whether this is a Job to be replaced for not being ready, and the live one is not.

    A Job that failed never becomes ready again; `pulumi.com/replaceUnready` asks for a new one.
    """
    if manifest.get("kind") != "Job" or annotation(manifest, REPLACE_UNREADY) != "true":
        return False
    try:
        live = client.get(manifest)
    except (ApiError, NoSuchKind, Unreachable):
        return False
    return workloads.job(live, client, 0).state != "ready"


class _Progress:
    """Shows what is waited for, and after a while what troubles it."""

    def __init__(self, operation: Operation, client: Client) -> None:
        self._operation = operation
        self._client = client
        self._shown = ""
        self._trouble: list[str] = []
        self._next_look = _FIRST_LOOK

    def show(self, message: str, elapsed: float, live: Object) -> None:
        if elapsed >= self._next_look:
            self._trouble = blame.reasons(live, self._client)[:1]
            self._next_look = elapsed + _NEXT_LOOK
        self._say("; ".join([message, *self._trouble]))

    def clear(self) -> None:
        self._say("")

    def _say(self, text: str) -> None:
        if text != self._shown:
            self._operation.status(text)
            self._shown = text


def readable(inputs: Object, live: Object, client: Client) -> None:
    """Raises NotReady if an object that is read just now is not ready."""
    if live["kind"] not in _CHECKED_ON_READ or not builtin(live["apiVersion"]):
        return
    settled = float("inf")
    verdicts = [check(live, client, settled) for check in _checks(inputs, live)]
    if verdicts and (verdict := _worst(verdicts)).state != "ready":
        raise NotReady(live, [verdict.message, *blame.reasons(live, client)])


def until_gone(operation: Operation, inputs: Object, live: Object, client: Client) -> None:
    """Returns when the object is gone, or another has its name. Raises ProviderError if not."""
    if _skipped(inputs) and live["kind"] in _SKIPS_DELETION.split():
        return
    uid = live["metadata"].get("uid")
    progress = _Progress(operation, client)
    for elapsed in _ticks(operation, inputs):
        try:
            live = client.get(live)
        except NoSuchKind:
            return
        except ApiError as error:
            if error.missing:
                return
            raise
        if live["metadata"].get("uid") != uid:
            return
        if elapsed > 1:
            progress.show(f"Waiting for deletion{_held(live)}", 0, live)
    summary = "cancelled while waiting" if operation.cancelled.is_set() else "timed out waiting"
    raise ProviderError(f"{identity(live)!r} {summary} to be deleted{_held(live)}")


def _checks(inputs: Object, live: Object) -> list[Check]:
    if _skipped(inputs):
        return []
    if expression := annotation(inputs, "pulumi.com/waitFor"):
        return waitfor.checks(expression)
    check = _CHECKS.get(live["kind"]) if builtin(live["apiVersion"]) else None
    return [check] if check else []


def _skipped(inputs: Object) -> bool:
    return annotation(inputs, "pulumi.com/skipAwait") == "true"


def _ticks(operation: Operation, inputs: Object) -> Iterator[float]:
    """The seconds waited so far, ever more slowly, until the timeout or the cancellation."""
    timeout = operation.timeout or _seconds(inputs) or _DEFAULT_TIMEOUT
    start, pause = time.monotonic(), 0.1
    yield 0.0
    while (elapsed := time.monotonic() - start) < timeout:
        if operation.cancelled.wait(min(pause, timeout - elapsed)):
            return
        pause = min(pause * 1.3, 1.0)
        yield time.monotonic() - start


def _seconds(inputs: Object) -> float | None:
    text = annotation(inputs, "pulumi.com/timeoutSeconds")
    return float(text) if text.isdecimal() else None


def _again(live: Object, client: Client) -> Object:
    """The object as it is now; a short silence of the API server is waited out."""
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            return client.get(live)
        except Unreachable:
            if time.monotonic() > give_up:
                raise
            time.sleep(1)
        except ApiError as error:
            if error.missing:
                raise NotReady(live, [f"{identity(live)!r} was deleted meanwhile"]) from error
            raise


def _worst(verdicts: list[Verdict]) -> Verdict:
    order = ("failed", "waiting", "ready")
    return min(verdicts, key=lambda each: order.index(each.state))


def _held(live: Object) -> str:
    finalizers = live["metadata"].get("finalizers")
    return f" (held by its finalizers {', '.join(finalizers)})" if finalizers else ""
