"""The road's jobs in a real cluster: made from their CronJobs, they do what its commands do."""

import re
import time

import pytest

from tests.lab import outputs
from tests.lab.clone import Clone
from tests.lab.whole.jobs import JOBS, MODEL, STACK, Jobs, Manifest

pytestmark = pytest.mark.lab

PLATFORM = f"{STACK}-platform"
DAY = "2016-02-29"
# All loans had arrived by then: what the schedule takes in.
LAST_DAY = "2016-03-31"


def ingest(jobs: Jobs, name: str, day: str) -> Manifest:
    """The nightly Job for a past day."""
    job = jobs.template("ingest", name)
    job["spec"]["template"]["spec"]["initContainers"][0]["env"].append(
        {"name": "DAY", "value": day}
    )
    return job


def test_the_cronjob_takes_the_loans_in_by_itself_when_its_time_comes(jobs: Jobs) -> None:
    with jobs.walked_every_minute():
        name = jobs.scheduled("ingest")
        assert jobs.ending(name) == "Complete", jobs.told(name)
    assert f"data/lending-club/{LAST_DAY}.parquet" in jobs.told(name)


def test_a_job_made_from_the_cronjob_takes_a_day_in(clone: Clone, jobs: Jobs) -> None:
    taken = {f"data/lending-club/{DAY}.parquet", f"manifests/lending-club/{DAY}.json"}

    def keys() -> set[str]:
        return {each.key for each in outputs.bucket(clone.output).objects.all()}

    assert not taken & keys()
    assert jobs.finish(ingest(jobs, "first", DAY)) == "Complete", jobs.told("first")
    assert taken <= keys()


def test_the_same_day_again_writes_nothing(clone: Clone, jobs: Jobs) -> None:
    def versions() -> int:
        found = outputs.bucket(clone.output).object_versions.filter(
            Prefix=f"data/lending-club/{DAY}"
        )
        return len(list(found))

    jobs.finish(ingest(jobs, "once", DAY))
    before = versions()
    assert jobs.finish(ingest(jobs, "again", DAY)) == "Complete", jobs.told("again")
    assert versions() == before == 1


def test_a_refusal_ends_the_job_at_its_first_try(clone: Clone, jobs: Jobs) -> None:
    assert jobs.finish(ingest(jobs, "early", "1999-12-31")) == "Failed"
    pods = clone.kubectl(
        *("get", "pods", "--namespace", JOBS, "-o", "name"),
        *("--selector", "job-name=early"),
    )
    assert len(pods.split()) == 1
    assert "refused: " in jobs.told("early")


def test_a_training_job_registers_a_signed_version_from_the_commit_of_the_image(
    clone: Clone, jobs: Jobs
) -> None:
    job = jobs.template("train", "trained")
    assert jobs.finish(job) == "Complete", jobs.told("trained")
    asked = {"name": MODEL, "version": "2"}
    answer = outputs.mlflow(clone.output, "model-versions/get", params=asked)
    tags = {tag["key"]: tag["value"] for tag in answer["model_version"]["tags"]}
    assert re.fullmatch("sha256:[0-9a-f]{64}", tags["ferry.signer"])
    assert tags["ferry.commit"] == clone.run("git", "rev-parse", "HEAD").strip()
    assert tags["ferry.dirty"] == "false"


def test_the_job_runs_as_nobody_on_a_root_that_it_cannot_write(clone: Clone, jobs: Jobs) -> None:
    job = jobs.template("train", "nobody")
    pod = job["spec"]["template"]["spec"]
    pod["initContainers"] = []
    # One stream: what comes by two has no order.
    script = (
        "id -u && touch /registry/x /tmp/x && ! touch /opt/app/x 2>/dev/null"
        ' && echo "$FERRY_COMMIT"'
    )
    pod["containers"][0]["command"] = ["sh", "-c", script]
    assert jobs.finish(job) == "Complete"
    commit = clone.run("git", "rev-parse", "HEAD").strip()
    assert jobs.told("nobody").split() == ["10001", commit]


def test_the_online_store_keeps_what_a_job_wrote_when_its_pod_is_gone(
    clone: Clone, jobs: Jobs
) -> None:
    assert jobs.say("write", "SET loan 42") == "+OK"
    time.sleep(1.5)  # what Redis may lose is the last second
    clone.kubectl("delete", "pod", "online-store-0", "--namespace", PLATFORM)
    ready = ("rollout", "status", "statefulset/online-store", "--timeout=60s")
    clone.kubectl(*ready, "--namespace", PLATFORM)
    assert jobs.say("read", "GET loan").split() == ["$2", "42"]


def test_the_online_store_answers_nobody_without_the_password(jobs: Jobs) -> None:
    assert jobs.say("stranger", "GET loan", known=False).startswith("-NOAUTH")


@pytest.mark.parametrize("words", ["FLUSHALL", "CONFIG GET requirepass", "ACL LIST"])
def test_a_job_administers_nothing(jobs: Jobs, words: str) -> None:
    name = f"admin-{words.split()[0].lower()}"
    assert jobs.say(name, words).startswith("-NOPERM")
