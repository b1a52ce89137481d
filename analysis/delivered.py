"""`python -m analysis.delivered`: waits until a Rollout serves an image, or says why it does not.

Exit codes: 0 it does, 1 it was aborted, failed or is late, 2 usage. The last line on stdout, and
the termination message, is a JSON document: that of the judge where there was a verdict.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from analysis import words
from analysis.cluster import Cluster, Unanswered
from analysis.stuck import Watch

LOOK_SECONDS = 1.0
HASH = "rollouts-pod-template-hash"
_ROLLOUTS = "argoproj.io/v1alpha1"
_BAD = ("Failed", "Error", "Inconclusive")

Object = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait; the exit code."""
    options = _parser().parse_args(arguments)
    document = asyncio.run(_delivered(options))
    words.last(document, options.termination_log)
    return 0 if document["delivered"] else 1


async def _delivered(options: argparse.Namespace) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session:
        cluster = Cluster.inside(session, options.namespace)
        return await wait(
            cluster, options.rollout, options.image, options.deadline, at_once=options.at_once
        )


async def wait(
    cluster: Cluster, rollout: str, image: str, deadline: float, *, at_once: bool = False
) -> dict[str, Any]:
    """The document of the end: `delivered`, `reason`, and the judge's `verdict` if there is one.

    With `at_once` the release goes live as soon as its pods are ready, whatever is judged. One
    whose pods do not get ready in time is aborted, should the controller forget it.
    """
    end = time.monotonic() + deadline
    watch = Watch()
    told = ""
    seen: Object | None = None
    while True:
        try:
            found = await cluster.get(_ROLLOUTS, "rollouts", rollout)
            unseen, release = await _release(cluster, found, image)
            state, seen = f"{unseen}{_state(found)}", found if release else None
            if seen and _healthy(seen):
                return {"delivered": True, "reason": f"{rollout} is healthy", "image": image}
            if seen and _given_up(seen):
                return await _failure(cluster, seen, image, state)
            change = {}
            if seen and at_once and not seen["status"].get("promoteFull"):
                change["promoteFull"] = True
            if release and watch.late(found, release):
                change["abort"] = True
            if change:
                await cluster.patch(_ROLLOUTS, "rollouts", f"{rollout}/status", {"status": change})
        except _Superseded as other:
            return {"delivered": False, "reason": str(other), "image": image}
        except Unanswered as error:
            state = str(error)
        if state != told:
            words.log("waiting", rollout=rollout, state=state)
            told = state
        if time.monotonic() >= end:
            return await _failure(cluster, seen, image, f"not done in {deadline:g} s: {state}")
        await asyncio.sleep(LOOK_SECONDS)


class _Superseded(Exception):
    """Another release has been put in the place of the one that is waited for."""


def _state(rollout: Object) -> str:
    status = rollout.get("status") or {}
    message = status.get("message") or ""
    return f"{status.get('phase', 'no status')}{f', {message}' if message else ''}"


async def _release(cluster: Cluster, rollout: Object, image: str) -> tuple[str, Object | None]:
    """The ReplicaSet of the release with the image; before, why the status is not yet of it.

    The release is what the Deployment holds that the Rollout refers to. The status is of it once
    the controller has seen the last change of both, and made the ReplicaSet of its pods.
    """
    status = rollout.get("status") or {}
    written = await cluster.get("apps/v1", "deployments", rollout["spec"]["workloadRef"]["name"])
    if image not in (others := _images(written)):
        raise _Superseded(f"another release took the place of {image}: {', '.join(others)}")
    for name, observed, of in (
        ("Rollout", "observedGeneration", rollout),
        ("Deployment", "workloadObservedGeneration", written),
    ):
        if str(status.get(observed)) != str(of["metadata"].get("generation")):
            return f"the controller has not seen the {name}'s last change; ", None
    release = status.get("currentPodHash")
    sets = await cluster.list("apps/v1", "replicasets", f"{HASH}={release}") if release else []
    found = next((each for each in sets if image in _images(each)), None)
    return ("", found) if found else (f"no ReplicaSet has {image} yet; ", None)


def _images(workload: Object) -> list[str]:
    """The digests, or else names, of the images that its pods have."""
    containers = workload["spec"]["template"]["spec"]["containers"]
    return [container.get("image", "").rpartition("@")[2] for container in containers]


def _healthy(rollout: Object) -> bool:
    status = rollout.get("status") or {}
    return (
        not status.get("abort")
        and status.get("phase") == "Healthy"
        and status.get("stableRS") == status.get("currentPodHash")
    )


def _given_up(rollout: Object) -> bool:
    status = rollout.get("status") or {}
    return bool(status.get("abort")) or status.get("phase") == "Degraded"


async def _failure(
    cluster: Cluster, rollout: Object | None, image: str, state: str
) -> dict[str, Any]:
    """Why: the judge's words, else what the release's pods said, else the state.

    `rollout` is None where its status tells nothing of the release.
    """
    document: dict[str, Any] = {"delivered": False, "reason": state, "image": image}
    if rollout is None:
        return document
    release = rollout["status"]["currentPodHash"]
    try:
        if verdict := await _verdict(cluster, rollout, release):
            reason = verdict.get("reason", state)
            return {**document, "reason": reason, "verdict": verdict}
        if said := await _said(cluster, release):
            document["reason"] = f"{state}; {said}"[:2000]
    except Unanswered as error:
        document["reason"] = f"{state}; why is not known: {error}"[:2000]
    return document


async def _verdict(cluster: Cluster, rollout: Object, release: str) -> dict[str, Any] | None:
    """What the newest failed analysis of this revision was told by its Job.

    A release that is offered again has the same hash, and another revision.
    """
    runs = [
        run
        for run in await cluster.list(_ROLLOUTS, "analysisruns", f"{HASH}={release}")
        if (run.get("status") or {}).get("phase") in _BAD
        and _revision(run) == _revision(rollout)
        and any(
            owner.get("name") == rollout["metadata"]["name"]
            for owner in run["metadata"].get("ownerReferences", ())
        )
    ]
    runs.sort(key=lambda run: run["metadata"]["creationTimestamp"], reverse=True)
    for run in runs[:1]:
        for result in run["status"].get("metricResults") or ():
            for measurement in reversed(result.get("measurements") or ()):
                if measurement.get("phase") not in _BAD:
                    continue
                job = (measurement.get("metadata") or {}).get("job-name")
                pods = await cluster.list("v1", "pods", f"job-name={job}") if job else []
                if message := next(filter(None, (_message(pod) for pod in pods)), ""):
                    return _document(message)
                text = measurement.get("message") or run["status"].get("message") or "no reason"
                return {"reason": f"the analysis failed without a verdict: {text}"[:1000]}
    return None


def _revision(of: Object) -> str | None:
    return (of["metadata"].get("annotations") or {}).get("rollout.argoproj.io/revision")


async def _said(cluster: Cluster, release: str) -> str:
    """The last words of a release's pods that do not run, or what they wait for."""
    pods = await cluster.list("v1", "pods", f"{HASH}={release}")
    return next(filter(None, (_message(pod) for pod in pods)), "") or next(
        filter(None, (_waiting(pod) for pod in pods)), ""
    )


def _message(pod: Object) -> str:
    for state in _states(pod):
        terminated = state.get("terminated") or {}
        if terminated.get("exitCode") and (terminated.get("message") or terminated.get("reason")):
            return (terminated.get("message") or terminated["reason"]).strip()
    return ""


def _waiting(pod: Object) -> str:
    for state in _states(pod):
        waiting = state.get("waiting") or {}
        if waiting.get("message") or waiting.get("reason"):
            return f"{waiting.get('reason', '')}: {waiting.get('message', '')}".strip(": ")
    return ""


def _states(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    containers = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    return [
        container.get(which) or {} for container in containers for which in ("state", "lastState")
    ]


def _document(message: str) -> dict[str, Any]:
    """The judge's document; what is none, such as a traceback, is a reason in itself."""
    for text in (message, message.splitlines()[-1]):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {"reason": f"the judge ended without a verdict: {message[-800:]}"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("analysis.delivered", description=__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--rollout", required=True)
    parser.add_argument("--image", required=True, help="sha256:… of the image that is to serve")
    parser.add_argument("--deadline", type=int, required=True, help="seconds")
    parser.add_argument("--at-once", action="store_true", help="end the steps without a verdict")
    parser.add_argument("--termination-log", type=Path, default=words.TERMINATION_LOG)
    return parser


if __name__ == "__main__":
    sys.exit(main())
