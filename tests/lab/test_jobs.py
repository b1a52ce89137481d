"""The road's jobs in a real cluster: made from their CronJobs, they do what its commands do."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab import jobs_platform, outputs
from tests.lab.jobs_platform import JOBS, MODEL, STACK, Manifest, Platform

pytestmark = pytest.mark.lab

PLATFORM = f"{STACK}-platform"
DAY = "2016-02-29"
# All loans had arrived by then: what the schedule takes in.
LAST_DAY = "2016-03-31"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with jobs_platform.platform(tmp_path_factory.mktemp("jobs")) as running:
        yield running


def ingest(platform: Platform, name: str, day: str) -> Manifest:
    """The nightly Job for a past day."""
    job = platform.template("ingest", name)
    job["spec"]["template"]["spec"]["initContainers"][0]["env"].append(
        {"name": "DAY", "value": day}
    )
    return job


def snapshot(day: str) -> set[str]:
    """The objects of a day that was taken in."""
    return {f"data/lending-club/{day}.parquet", f"manifests/lending-club/{day}.json"}


def test_the_cronjob_takes_the_loans_in_by_itself_when_its_time_comes(platform: Platform) -> None:
    def keys() -> set[str]:
        return {each.key for each in platform.bucket().objects.all()}

    assert not snapshot(LAST_DAY) & keys()
    at = (datetime.now(UTC) + timedelta(minutes=2)).replace(second=0, microsecond=0)
    platform.schedule(f"{at.minute} {at.hour} * * *")
    name = platform.scheduled(f"{MODEL}-ingest", at)
    assert platform.ending(name) == "Complete", platform.told(name)
    assert snapshot(LAST_DAY) <= keys()


def test_a_job_made_from_the_cronjob_takes_a_day_in(platform: Platform) -> None:
    assert platform.finish(ingest(platform, "first", DAY)) == "Complete", platform.told("first")
    assert snapshot(DAY) <= {each.key for each in platform.bucket().objects.all()}


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
    asked = {"name": MODEL, "version": "1"}
    answer = outputs.mlflow(platform.output, "model-versions/get", params=asked)
    version = answer["model_version"]
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
