"""MLflow's database, deleted in a real cluster, and put back from the bucket by one command."""

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.lab import outputs
from tests.lab.clone import Clone
from tests.lab.whole.jobs import MODEL, STACK

pytestmark = pytest.mark.lab

PLATFORM = ("--namespace", f"{STACK}-platform")
_PATIENCE = 300  # seconds for one Job


class Kept:
    """A stack whose MLflow is copied, lost and put back."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone

    def registered(self) -> dict[str, Any]:
        """Every version with its tags, and every alias."""
        found = outputs.mlflow(
            self.clone.output, "model-versions/search", params={"max_results": 100}
        )
        model = outputs.mlflow(self.clone.output, "registered-models/get", params={"name": MODEL})
        versions = {
            each["version"]: (
                each["run_id"],
                each["source"],
                sorted((tag["key"], tag["value"]) for tag in each.get("tags", [])),
            )
            for each in found["model_versions"]
        }
        aliases = {each["alias"]: each["version"] for each in model["registered_model"]["aliases"]}
        return {"versions": versions, "aliases": aliases}

    def back_up(self, name: str) -> list[dict[str, Any]]:
        """The copies that there are once a Job made from the CronJob is complete."""
        self.clone.kubectl("create", "job", name, "--from=cronjob/mlflow-backup", *PLATFORM)
        wait = ("--for=condition=Complete", f"--timeout={_PATIENCE}s")
        self.clone.kubectl("wait", *wait, f"job/{name}", *PLATFORM)
        return self.backups()

    def backups(self) -> list[dict[str, Any]]:
        printed = self.clone.ferry("backups", "--json")
        return json.loads(printed[printed.index("{") :])["backups"]

    def lose(self) -> None:
        """Delete the registry's file under the running server, and let that start again."""
        self.clone.kubectl("exec", "deployment/mlflow", *PLATFORM, "--", "rm", "/data/mlflow.db")
        server = ("--selector=app.kubernetes.io/name=mlflow", "--wait")
        self.clone.kubectl("delete", "pod", *server, *PLATFORM)
        self.clone.kubectl("rollout", "status", "deployment/mlflow", "--timeout=300s", *PLATFORM)

    def replicas(self) -> str:
        given = ("deployment/mlflow", "-o", "jsonpath={.spec.replicas}")
        return self.clone.kubectl("get", *given, *PLATFORM).strip()


@pytest.fixture(scope="module")
def stack(clone: Clone, up: str) -> Kept:
    return Kept(clone)


@pytest.fixture(scope="module")
def before(stack: Kept) -> dict[str, Any]:
    """The registry with another version and an alias of somebody's, all of it in one copy."""
    first = stack.registered()["versions"]["1"]
    run, source = first[:2]
    of = {"source": source, "run_id": run, "model_id": source.removeprefix("models:/")}
    asked = {"name": MODEL, **of}
    made = outputs.mlflow(stack.clone.output, "model-versions/create", "POST", json=asked)
    another = made["model_version"]["version"]
    chosen = {"name": MODEL, "alias": "looked-at", "version": another}
    outputs.mlflow(stack.clone.output, "registered-models/alias", "POST", json=chosen)
    stack.back_up("taken")
    return stack.registered()


def test_a_copy_is_in_the_bucket_locked_and_named_by_its_bytes(
    stack: Kept, before: dict[str, Any]
) -> None:
    (copy,) = stack.backups()
    found = outputs.bucket(stack.clone.output).Object(copy["key"])
    assert found.object_lock_mode == "GOVERNANCE"
    assert found.object_lock_retain_until_date > datetime.now(UTC)
    assert found.content_length == copy["bytes"] > 1000
    assert {"1", before["aliases"]["looked-at"]} <= set(before["versions"])


def test_a_deleted_database_is_put_back_with_its_versions_and_aliases(
    stack: Kept, before: dict[str, Any]
) -> None:
    stack.lose()
    assert "no version 1" in stack.clone.ferry("verify", code=3)
    # What the night takes of the empty registry, and what is no copy at all.
    assert len(stack.back_up("empty")) == 2
    false = f"backups/mlflow/{datetime.now(UTC):%Y}1231T235959Z-{'0' * 64}.tar.gz"
    outputs.bucket(stack.clone.output).put_object(Key=false, Body=b"not a copy")
    printed = stack.clone.ferry("restore")
    assert f"{false} is passed over: its bytes are others" in printed
    assert f"is passed over: it has no {MODEL} version 1" in printed
    assert stack.registered() == before
    assert "1 pin(s)" in stack.clone.ferry("verify")


def test_the_ledger_and_the_stack_are_as_they_were(stack: Kept, before: dict[str, Any]) -> None:
    stack.clone.run(".venv/bin/ferry", "verify-ledger")
    stack.clone.pulumi("preview", "--expect-no-changes")
    stack.clone.pulumi("refresh", "--preview-only", "--expect-no-changes")


def test_what_served_went_on_and_the_lost_database_is_still_beside(
    stack: Kept, before: dict[str, Any]
) -> None:
    assert 0 < stack.clone.status()["models"][MODEL]["score"]["probability"] < 1
    there = stack.clone.kubectl("exec", "deployment/mlflow", *PLATFORM, "--", "ls", "/data").split()
    assert any(name.startswith("mlflow.db.before-") for name in there)
    assert not any(name.endswith("-journal") for name in there)


def test_killed_while_the_server_is_stopped_it_is_finished_by_the_same_command(
    stack: Kept, before: dict[str, Any], tmp_path: Path
) -> None:
    with (
        (tmp_path / "said").open("w") as said,
        subprocess.Popen(
            [".venv/bin/ferry", "restore", "--stack", STACK],
            cwd=stack.clone.folder, env=stack.clone.environment, stdout=said, stderr=said,
        ) as ferry,
    ):  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while stack.replicas() != "0":
            assert ferry.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < until
            time.sleep(0.2)
        ferry.kill()
    stack.clone.ferry("restore")
    assert stack.replicas() == "1"
    assert stack.registered() == before


def test_a_time_before_every_copy_touches_nothing(stack: Kept, before: dict[str, Any]) -> None:
    assert "Nothing was touched" in stack.clone.ferry("restore", "--at", "2000-01-01", code=3)
    assert stack.registered() == before
