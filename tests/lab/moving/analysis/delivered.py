"""Waits until the stable pods of a Rollout are of an image, or its analysis has refused them."""

import argparse
import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HASH = "rollouts-pod-template-hash"


def ask(path: str) -> Any:  # noqa: ANN401 - any JSON
    token = (ACCOUNT / "token").read_text()
    request = urllib.request.Request(
        f"https://kubernetes.default.svc{path}", headers={"authorization": f"Bearer {token}"}
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=10, context=trust) as answer:  # noqa: S310
        return json.load(answer)


def outcome(namespace: str, rollout: str, image: str) -> tuple[int, str] | None:
    argo = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}"
    status = ask(f"{argo}/rollouts/{rollout}").get("status", {})
    pods = ask(f"/api/v1/namespaces/{namespace}/pods?labelSelector={HASH}")["items"]
    stable = [
        pod["spec"]["containers"][0]["image"]
        for pod in pods
        if pod["metadata"]["labels"][HASH] == status.get("stableRS", "none")
        and "deletionTimestamp" not in pod["metadata"]
    ]
    live = bool(stable) and all(image in each for each in stable)
    if live and status.get("phase") == "Healthy":
        return 0, "live"
    if live or not status.get("abort"):
        return None
    for job in ask(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]:
        owners = {each["kind"] for each in job["metadata"].get("ownerReferences", [])}
        if "AnalysisRun" not in owners or not job.get("status", {}).get("failed"):
            continue
        selector = f"job-name={job['metadata']['name']}"
        found = ask(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
        for pod in found:
            state = pod["status"]["containerStatuses"][0]["state"]
            if "terminated" in state:
                return 1, state["terminated"].get("message", "no reason")
    return 1, status.get("message", "aborted")


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("namespace", "rollout", "image"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--deadline", required=True, type=int)
    told = parser.parse_args()
    until = time.monotonic() + told.deadline
    found = None
    while found is None and time.monotonic() < until:
        found = outcome(told.namespace, told.rollout, told.image)
        time.sleep(1)
    code, reason = found or (1, "late")
    print(reason)
    Path("/dev/termination-log").write_text(reason)
    return code


if __name__ == "__main__":
    sys.exit(main())
