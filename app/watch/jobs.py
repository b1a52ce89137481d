"""Jobs: a retraining Job made from its CronJob, through the cluster's API, with the pod's token."""

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.watch.retraining import Reason

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REASON = "RETRAIN_REASON"
"""The variable by which the Job's steps know why they run."""
_SECONDS = 20
_TOLD = 4000
"""Characters of an answer that an error repeats."""


class Unavailable(Exception):
    """The API did not do what was asked; the message is its answer."""


@dataclass(frozen=True, kw_only=True)
class Api:
    """The cluster's API server, and who asks."""

    url: str
    account: Path = ACCOUNT
    """A folder with `token` and, for https, `ca.crt`."""

    @classmethod
    def of_this_pod(cls) -> "Api":
        """As Kubernetes tells every pod."""
        host, port = (os.environ[f"KUBERNETES_SERVICE_{each}"] for each in ("HOST", "PORT"))
        return cls(url=f"https://{f'[{host}]' if ':' in host else host}:{port}")

    def get(self, path: str) -> dict[str, Any]:
        """The object at `path`. Raises `Unavailable`."""
        return self._ask("GET", path)

    def create(self, path: str, manifest: dict[str, Any]) -> bool:
        """Make an object; False when there is one of that name. Raises `Unavailable`."""
        try:
            self._ask("POST", path, manifest)
        except _Taken:
            return False
        return True

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(  # noqa: S310 - the address is the cluster's
                self._request(method, path, body), timeout=_SECONDS, context=self._trusted()
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read()[:_TOLD].decode(errors="replace")
            if error.code == 409:
                raise _Taken(told) from error
            raise Unavailable(f"{method} {path}: {error.code} {told}") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"{method} {path}: {error}") from error

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> urllib.request.Request:
        # Read each time: the kubelet renews it.
        token = (self.account / "token").read_text().strip()
        return urllib.request.Request(  # noqa: S310
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/json",
                "Content-Type": "application/json",
            },
        )

    def _trusted(self) -> ssl.SSLContext | None:
        if not self.url.startswith("https:"):
            return None
        return ssl.create_default_context(cafile=str(self.account / "ca.crt"))


class _Taken(Unavailable):
    """There is an object of that name."""


def start(api: Api, namespace: str, cronjob: str, job: str, reason: Reason) -> bool:
    """Make the Job `job` from the CronJob's template; False when it is there already.

    Raises `Unavailable`.
    """
    jobs = f"/apis/batch/v1/namespaces/{namespace}"
    found = api.get(f"{jobs}/cronjobs/{cronjob}")
    return api.create(f"{jobs}/jobs", manifest(found, job, reason))


def manifest(cronjob: dict[str, Any], job: str, reason: Reason) -> dict[str, Any]:
    """What `kubectl create job JOB --from=cronjob/…` makes, with the reason in it."""
    template, owner = cronjob["spec"]["jobTemplate"], cronjob["metadata"]
    described = template.get("metadata", {})
    pod = template["spec"]["template"]
    given = {"name": REASON, "value": json.dumps(reason.document())}
    steps = {
        kind: [{**each, "env": [*each.get("env", []), given]} for each in pod["spec"][kind]]
        for kind in ("initContainers", "containers")
        if pod["spec"].get(kind)
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job,
            "namespace": owner["namespace"],
            "labels": described.get("labels", {}),
            "annotations": {
                **described.get("annotations", {}),
                "cronjob.kubernetes.io/instantiate": "manual",
                "ferry.dev/reason": f"{reason.kind}: {reason.text}",
            },
            # Without blockOwnerDeletion, which would take a right to the CronJob's finalizers.
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": owner["name"],
                    "uid": owner["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": {
            **template["spec"],
            "template": {**pod, "spec": {**pod["spec"], **steps}},
        },
    }
