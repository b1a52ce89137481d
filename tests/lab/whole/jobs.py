"""The jobs of a stack that is up: made from their CronJobs, waited for, and listened to."""

import json
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.lab.clone import Clone

STACK = "whole"
MODEL = "credit-default"
JOBS = f"{STACK}-jobs"
_IN_JOBS = ("--namespace", JOBS)
_SCHEDULE = "0 2 * * *"
_BY_ITSELF = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_PATIENCE = 600  # seconds for one Job
# Says one line to the online store as the jobs find it, and prints the answer.
_SAY = """
import os, socket, sys, time
address, password = os.environ["ONLINE_STORE"].split(",password=")
host, port = address.split(":")
for _ in range(60):  # a pod is ready a little before its Service leads to it
    try:
        line = socket.create_connection((host, int(port)), 10)
        break
    except OSError:
        time.sleep(0.5)
with line:
    for words in ([f"AUTH {password}"] if sys.argv[1] == "known" else []) + [sys.argv[2]]:
        line.sendall(words.encode() + b"\\r\\n")
        answer = line.recv(4096).decode()
print(answer)
"""

Manifest = dict[str, Any]


class Jobs:
    """The jobs of MODEL in the stack of a clone."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone

    def template(self, job: str, name: str) -> Manifest:
        """The Job that `kubectl create job NAME --from=cronjob/…` would make."""
        made = self._clone.kubectl(
            *("create", "job", name, *_IN_JOBS, "--output", "json"),
            *("--dry-run=client", f"--from=cronjob/{MODEL}-{job}"),
        )
        return json.loads(made)

    @contextmanager
    def walked_every_minute(self) -> Generator[None]:
        """Meanwhile the stack file says so of the road."""
        file = self._clone.file
        text = file.read_text()
        assert text.count(f'schedule: "{_SCHEDULE}"') == 1
        up = ("up", "--yes", "--skip-preview", "--suppress-outputs")
        try:
            file.write_text(text.replace(_SCHEDULE, "* * * * *"))
            self._clone.pulumi(*up)
            yield
        finally:
            file.write_text(text)
            self._clone.pulumi(*up)

    def scheduled(self, job: str) -> str:
        """The name of a Job that the CronJob makes by itself within two minutes."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            listed = self._clone.kubectl("get", "jobs", *_IN_JOBS, "-o", "json")
            for each in json.loads(listed)["items"]:
                told = each["metadata"]
                owners = [owner["name"] for owner in told.get("ownerReferences", [])]
                if owners == [f"{MODEL}-{job}"] and _BY_ITSELF in told.get("annotations", {}):
                    return told["name"]
            time.sleep(1)
        raise AssertionError(f"the CronJob of {job} made no Job")

    def finish(self, job: Manifest) -> str:
        """Creates the Job and waits until it is Complete or Failed: the condition's type."""
        self._clone.run("kubectl", "create", "--filename", "-", given=json.dumps(job))
        return self.ending(job["metadata"]["name"])

    def ending(self, name: str) -> str:
        """Waits until the Job is Complete or Failed: the condition's type."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            shown = self._clone.kubectl("get", "job", name, *_IN_JOBS, "-o", "json")
            for condition in json.loads(shown)["status"].get("conditions", []):
                if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                    return condition["type"]
            time.sleep(1)
        raise AssertionError(f"{name} did not end:\n{self.told(name)}")

    def told(self, job: str) -> str:
        """What the pods of a Job printed, container by container as far as they ran."""
        told = subprocess.run(
            ["kubectl", "logs", *_IN_JOBS, "--selector", f"job-name={job}",
             "--all-containers", "--ignore-errors", "--tail=-1"],
            env=self._clone.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return told.stdout

    def say(self, name: str, words: str, *, known: bool = True) -> str:
        """What the online store answers to a pod of a job."""
        job = self.template("train", name)
        pod = job["spec"]["template"]["spec"]
        pod["initContainers"] = []
        pod["containers"][0]["command"] = ["python", "-c", _SAY]
        pod["containers"][0]["args"] = ["known" if known else "unknown", words]
        assert self.finish(job) == "Complete", self.told(name)
        return self.told(name).strip()
