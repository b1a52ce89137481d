"""The platform's namespace of a stack, through kubectl as it is on PATH."""

import json
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from infra.settings import ClusterFoundation
from promotion import engines
from promotion.refusals import DependencyDown, GateRefused
from promotion.stack import Stack

_PAUSE = 2  # seconds, between two looks at a Job
_PATIENCE = 1200  # seconds for a Job, which has a shorter deadline of its own
_ENDING = 180  # seconds for pods to end


class Cluster:
    """One namespace, of the cluster that the stack file names, or that kubectl has as current."""

    def __init__(self, stack: Stack) -> None:
        self.namespace = stack.outputs.namespaces.platform
        self._environment = engines.environment(stack.name)
        foundation = stack.settings.platform.foundation
        context = foundation.context if isinstance(foundation, ClusterFoundation) else None
        self._options = [
            f"--namespace={self.namespace}",
            *([f"--context={context}"] if context else []),
        ]

    def template(self, cronjob: str, name: str, **variables: str) -> dict[str, Any]:
        """The Job `name` that a CronJob would make, with variables more; nothing is made."""
        source = f"--from=cronjob/{cronjob}"
        made = json.loads(
            self._run("create", "job", name, source, "--dry-run=client", "--output=json")
        )
        for container in made["spec"]["template"]["spec"]["containers"]:
            given = [{"name": key, "value": value} for key, value in variables.items()]
            container["env"] = [*container.get("env", []), *given]
        return made

    def finish(self, job: Mapping[str, Any]) -> None:
        """Run the Job in the place of any of its name, to its end.

        Raises `GateRefused` where the Job's own policy says that trying again is of no use, and
        `DependencyDown` where it fails otherwise.
        """
        name = job["metadata"]["name"]
        # What a call that was killed left: gone with its pods, before another pod starts.
        gone = ("--ignore-not-found", "--cascade=foreground", "--wait", f"--timeout={_ENDING}s")
        self._run("delete", "job", name, *gone)
        self._run("create", "--filename=-", given=json.dumps(job))
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            status = json.loads(self._run("get", "job", name, "--output=json")).get("status", {})
            ended = {
                each["type"]: each.get("reason")
                for each in status.get("conditions", [])
                if each["status"] == "True"
            }
            if "Complete" in ended:
                return
            if "Failed" in ended:
                final = ended["Failed"] == "PodFailurePolicy"
                why = GateRefused if final else DependencyDown
                raise why(f"the job {name} in {self.namespace} failed: {self._said(name)}")
            time.sleep(_PAUSE)
        raise DependencyDown(f"the job {name} in {self.namespace} did not end in {_PATIENCE} s")

    def stop(self, deployment: str) -> None:
        """Let it have no pod, and wait until the last one is gone."""
        self._run("scale", f"deployment/{deployment}", "--replicas=0")
        pods = (
            f"--selector=app.kubernetes.io/name={deployment}",
            "--field-selector=status.phase!=Failed,status.phase!=Succeeded",  # evicted ones stay
        )
        until = time.monotonic() + _ENDING
        while self._run("get", "pods", *pods, "--output=name").strip():
            if time.monotonic() > until:
                raise DependencyDown(f"a pod of {deployment} does not end in {_ENDING} s")
            time.sleep(_PAUSE)

    def start(self, deployment: str) -> None:
        """Let it have one pod, and wait until that is ready."""
        self._run("scale", f"deployment/{deployment}", "--replicas=1")
        self._run("rollout", "status", f"deployment/{deployment}", "--timeout=300s")

    def _said(self, job: str) -> str:
        try:
            return self._run("logs", f"job/{job}", "--tail=20").strip()
        except DependencyDown as error:
            return f"its pods are gone ({error})"

    def _run(self, *arguments: str, given: str | None = None) -> str:
        try:
            done = subprocess.run(
                ["kubectl", *arguments, *self._options],
                env=self._environment, input=given, capture_output=True, text=True, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise DependencyDown(
                'there is no `kubectl` on PATH; run `eval "$(make -s env)"` first'
            ) from error
        if done.returncode:
            raise DependencyDown(
                f"`kubectl {' '.join(arguments[:2])}` failed in {self.namespace}: "
                f"{done.stderr.strip()[-1000:]}"
            )
        return done.stdout
