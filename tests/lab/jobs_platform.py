"""A platform of its own with nothing pinned, its jobs, and the commands that look into it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab import cluster, enginelocks, environment, paths
from lab.cluster.progress import Progress
from tests.lab import outputs

ROOT = Path(__file__).parents[2]
STACK = "jobs"
MODEL = "credit-default"
JOBS = f"{STACK}-jobs"
_SCHEDULE = "0 2 * * *"
_NOT_OURS = (".venv", ".*_cache", "__pycache__")
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


class Platform:
    """A stack of its own on a lab of its own, and the commands that look into it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._folder = folder
        self._environment = variables

    def run(self, *command: str, given: str | None = None) -> str:
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, input=given,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pulumi(self, *command: str) -> str:
        return self.run("pulumi", *command, "--stack", STACK, "--non-interactive")

    def output(self, name: str) -> Any:  # noqa: ANN401 - whatever the program exports
        return json.loads(self.pulumi("stack", "output", name, "--show-secrets", "--json"))

    def bucket(self) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        return outputs.bucket(self.output)

    def template(self, job: str, name: str) -> Manifest:
        """The Job that `kubectl create job NAME --from=cronjob/…` would make."""
        made = self.run(
            *("kubectl", "create", "job", name, "--namespace", JOBS, "--output", "json"),
            *("--dry-run=client", f"--from=cronjob/{MODEL}-{job}"),
        )
        return json.loads(made)

    def schedule(self, line: str) -> None:
        """Lets the stack file say when the road is walked, and brings that about."""
        file = self._folder / f"Pulumi.{STACK}.yaml"
        text = file.read_text()
        assert text.count(f'schedule: "{_SCHEDULE}"') == 1
        file.write_text(text.replace(_SCHEDULE, line))
        self.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")

    def scheduled(self, cronjob: str, at: datetime) -> str:
        """The name of the Job that the CronJob itself makes at that time."""
        wanted = {"batch.kubernetes.io/cronjob-scheduled-timestamp": f"{at:%FT%TZ}"}
        while datetime.now(UTC) < at + timedelta(minutes=2):
            listed = self.run("kubectl", "get", "jobs", "--namespace", JOBS, "-o", "json")
            for job in json.loads(listed)["items"]:
                told = job["metadata"]
                owners = [each["name"] for each in told.get("ownerReferences", [])]
                if owners == [cronjob] and wanted.items() <= told.get("annotations", {}).items():
                    return told["name"]
            time.sleep(1)
        raise AssertionError(f"{cronjob} made no Job at {at}")

    def finish(self, job: Manifest) -> str:
        """Creates the Job and waits until it is Complete or Failed: the condition's type."""
        self.run("kubectl", "create", "--filename", "-", given=json.dumps(job))
        return self.ending(job["metadata"]["name"])

    def ending(self, name: str) -> str:
        """Waits until the Job is Complete or Failed: the condition's type."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            shown = self.run("kubectl", "get", "job", name, "--namespace", JOBS, "-o", "json")
            for condition in json.loads(shown)["status"].get("conditions", []):
                if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                    return condition["type"]
            time.sleep(1)
        raise AssertionError(f"{name} did not end:\n{self.told(name)}")

    def told(self, job: str) -> str:
        """What the pods of a Job printed, container by container as far as they ran."""
        chosen = ("--namespace", JOBS, "--selector", f"job-name={job}")
        told = subprocess.run(
            ["kubectl", "logs", *chosen, "--all-containers", "--ignore-errors", "--tail=-1"],
            env=self._environment, capture_output=True, text=True, check=False,
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


@contextmanager
def platform(folder: Path) -> Generator[Platform]:
    """The platform of the stack file dev, with nothing pinned."""
    dev = (ROOT / "Pulumi.dev.yaml").read_text()
    settings = dev.partition("  ferry:pins:")[0].partition("encryptionsalt:")[0]
    # The tree itself, by links, with a stack file that is not in it; and app/ as one commit.
    for name in ("Pulumi.yaml", "__main__.py", "infra", "components", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns(*_NOT_OURS))
    identity = ("-c", "user.name=jobs", "-c", "user.email=jobs@ferry.test")
    for command in (
        ("init", "--quiet"),
        ("add", "app"),
        (*identity, "commit", "--quiet", "--message", "The app under test"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / f"Pulumi.{STACK}.yaml").write_text(
        settings.replace("environment: dev", f"environment: {STACK}").replace(
            "dev.ferry.test", f"{STACK}.ferry.test"
        )
    )
    cluster.up(STACK, Progress())
    try:
        enginelocks.release(paths.state(STACK) / "pulumi")
        variables = {**os.environ, **environment.environment(STACK)[0]}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        made = Platform(folder, variables)
        made.run("pulumi", "stack", "select", "--create", STACK)
        made.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        yield made
    finally:
        cluster.purge(STACK, Progress())
