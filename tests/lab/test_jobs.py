"""The road's jobs in a real cluster: made from their CronJobs, they do what its commands do."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from lab import cluster, enginelocks, environment, paths
from lab.cluster.progress import Progress

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
STACK = "jobs"
MODEL = "credit-default"
JOBS, PLATFORM = f"{STACK}-jobs", f"{STACK}-platform"
# All loans had arrived by then.
DAY = "2016-03-31"
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
        at, keys = self.output("bucket"), self.output("credentials")["objectStore"]
        store = boto3.resource(
            "s3",
            endpoint_url=at["endpoint"],
            region_name=at["region"],
            aws_access_key_id=keys["accessKey"],
            aws_secret_access_key=keys["secretKey"],
        )
        return store.Bucket(at["name"])

    def template(self, job: str, name: str) -> Manifest:
        """The Job that `kubectl create job NAME --from=cronjob/…` would make."""
        made = self.run(
            *("kubectl", "create", "job", name, "--namespace", JOBS, "--output", "json"),
            *("--dry-run=client", f"--from=cronjob/{MODEL}-{job}"),
        )
        return json.loads(made)

    def finish(self, job: Manifest) -> str:
        """Creates the Job and waits until it is Complete or Failed: the condition's type."""
        self.run("kubectl", "create", "--filename", "-", given=json.dumps(job))
        name = job["metadata"]["name"]
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


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform of the stack file dev, with nothing pinned."""
    dev = (ROOT / "Pulumi.dev.yaml").read_text()
    settings = dev.partition("  ferry:pins:")[0].partition("encryptionsalt:")[0]
    # The tree itself, by links, with a stack file that is not in it; and app/ as one commit.
    folder = tmp_path_factory.mktemp("jobs")
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


def ingest(platform: Platform, name: str, day: str) -> Manifest:
    """The nightly Job for a past day."""
    job = platform.template("ingest", name)
    job["spec"]["template"]["spec"]["initContainers"][0]["env"].append(
        {"name": "DAY", "value": day}
    )
    return job


def test_a_job_made_from_the_cronjob_takes_a_day_in(platform: Platform) -> None:
    assert platform.finish(ingest(platform, "first", DAY)) == "Complete", platform.told("first")
    keys = {each.key for each in platform.bucket().objects.all()}
    assert {
        f"data/lending-club/{DAY}.parquet",
        f"manifests/lending-club/{DAY}.json",
    } <= keys


def test_the_same_day_again_writes_nothing(platform: Platform) -> None:
    def versions() -> int:
        found = platform.bucket().object_versions.filter(Prefix=f"data/lending-club/{DAY}")
        return len(list(found))

    platform.finish(ingest(platform, "once", DAY))
    before = versions()
    assert platform.finish(ingest(platform, "again", DAY)) == "Complete", platform.told("again")
    assert versions() == before == 1


def test_a_refusal_ends_the_job_at_its_first_try(platform: Platform) -> None:
    assert platform.finish(ingest(platform, "early", "1999-12-31")) == "Failed"
    pods = platform.run(
        *("kubectl", "get", "pods", "--namespace", JOBS, "-o", "name"),
        *("--selector", "job-name=early"),
    )
    assert len(pods.split()) == 1
    assert "refused: " in platform.told("early")


def test_a_training_job_registers_a_signed_version_from_the_commit_of_the_image(
    platform: Platform,
) -> None:
    assert platform.finish(platform.template("train", "train")) == "Complete", platform.told(
        "train"
    )
    login = platform.output("credentials")["mlflow"]
    version = requests.get(
        f"{platform.output('mlflow')['url']}/api/2.0/mlflow/model-versions/get",
        params={"name": MODEL, "version": "1"},
        auth=(login["username"], login["password"]),
        timeout=30,
    ).json()["model_version"]
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert re.fullmatch("sha256:[0-9a-f]{64}", tags["ferry.signer"])
    assert tags["ferry.commit"] == platform.run("git", "rev-parse", "HEAD").strip()
    assert tags["ferry.dirty"] == "false"


def test_the_job_runs_as_nobody_on_a_root_that_it_cannot_write(platform: Platform) -> None:
    job = platform.template("train", "nobody")
    pod = job["spec"]["template"]["spec"]
    pod["initContainers"] = []
    # One stream: what comes by two has no order.
    script = (
        "id -u && touch /registry/x /tmp/x && ! touch /opt/app/x 2>/dev/null"
        ' && echo "$FERRY_COMMIT"'
    )
    pod["containers"][0]["command"] = ["sh", "-c", script]
    assert platform.finish(job) == "Complete"
    commit = platform.run("git", "rev-parse", "HEAD").strip()
    assert platform.told("nobody").split() == ["10001", commit]


def test_the_online_store_keeps_what_a_job_wrote_when_its_pod_is_gone(platform: Platform) -> None:
    assert platform.say("write", "SET loan 42") == "+OK"
    time.sleep(1.5)  # what Redis may lose is the last second
    platform.run("kubectl", "delete", "pod", "online-store-0", "--namespace", PLATFORM)
    ready = ("--for=condition=Ready", "--timeout=60s")
    platform.run("kubectl", "wait", *ready, "pod/online-store-0", "--namespace", PLATFORM)
    assert platform.say("read", "GET loan").split() == ["$2", "42"]


def test_the_online_store_answers_nobody_without_the_password(platform: Platform) -> None:
    assert platform.say("stranger", "GET loan", known=False).startswith("-NOAUTH")


@pytest.mark.parametrize("words", ["FLUSHALL", "CONFIG GET requirepass", "ACL LIST"])
def test_a_job_administers_nothing(platform: Platform, words: str) -> None:
    name = f"admin-{words.split()[0].lower()}"
    assert platform.say(name, words).startswith("-NOPERM")


def test_a_preview_right_after_is_empty(platform: Platform) -> None:
    platform.pulumi("preview", "--expect-no-changes")
