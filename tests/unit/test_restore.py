"""Restoring stops the server, runs one Job, starts the server; killed anywhere, it can go on."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.outputs import StackOutputs
from promotion import aliases, cluster, evidence, pins, restore
from promotion.backups import Version, versions
from promotion.refusals import DependencyDown, GateRefused, UsageRefused
from promotion.stack import Stack
from tests.unit.test_backups import MODEL, copy, stored
from tests.unit.test_ferry import DEV, OUTPUTS, ferry
from tests.unit.test_pins import a_pin
from tests.unit.test_unbuilt import AWS

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
BACKED_UP = DEV.replace("    data:", '    backup: {schedule: "17 2 * * *"}\n    data:')
PROD = BACKED_UP.replace("environment: dev", "environment: prod\n    below: dev")


class Killed(BaseException):
    """SIGKILL, in the place where it strikes."""


class World:
    """A stack's cluster, bucket and MLflow, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = stored(
            (NOON, copy((MODEL, 7))), (NOON - timedelta(days=1), copy((MODEL, 6), (MODEL, 7)))
        )
        self.held: frozenset[Version] = frozenset()
        """What the server's database has."""
        self.replicas = 1
        self.ending = 0
        """Pods that are there for one look more."""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.fails = ""
        """The reason for which the Job fails, if it does."""
        self.calls: list[list[str]] = []
        self.kill_at = 0
        self.kill_after = False
        self.aliases: dict[str, int] = {}
        self.logins = False
        """Whether users are those that the stack file names now."""

    def restore(self, at: datetime | None = None, stack: str = "dev") -> str:
        return restore.restore(Stack(stack, self.folder), at, lambda text: None).key

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        self.calls.append(list(arguments))
        struck = len(self.calls) == self.kill_at
        if struck and not self.kill_after:
            raise Killed
        said = self._answer(arguments, given)
        if struck:
            raise Killed
        return said

    def _answer(self, arguments: tuple[str, ...], given: str | None) -> str:
        match arguments:
            case ("create", "job", name, "--from=cronjob/mlflow-logins", *_):
                spec = {"template": {"spec": {"containers": [{"name": "logins"}]}}}
                return json.dumps({"metadata": {"name": name}, "spec": spec})
            case ("create", "job", name, "--from=cronjob/mlflow-restore", *_):
                container = {"name": "restore", "env": [{"name": "FERRY_BUCKET", "value": "b"}]}
                spec = {"template": {"spec": {"containers": [container]}}}
                return json.dumps({"metadata": {"name": name}, "spec": spec})
            case ("create", "--filename=-"):
                job = json.loads(given or "")
                assert job["metadata"]["name"] not in self.jobs
                self.jobs[job["metadata"]["name"]] = job
                self._run(job)
            case ("delete", "job", name, *_):
                self.jobs.pop(name, None)
            case ("get", "job", name, *_):
                ended = ("Failed", self.fails) if self.fails else ("Complete", "Done")
                condition = {"type": ended[0], "status": "True", "reason": ended[1]}
                assert name in self.jobs
                return json.dumps({"status": {"conditions": [condition]}})
            case ("get", "pods", "--selector=app.kubernetes.io/name=mlflow", *_):
                there, self.ending = self.replicas + self.ending, 0
                return "pod/mlflow-1\n" * there
            case ("scale", "deployment/mlflow", replicas):
                before, self.replicas = self.replicas, int(replicas.removeprefix("--replicas="))
                self.ending = max(0, before - self.replicas)
            case ("rollout", "status", "deployment/mlflow", *_):
                assert self.replicas == 1
            case ("logs", *_):
                return "refused: why\n"
            case _:
                raise AssertionError(arguments)
        return ""

    def _run(self, job: dict[str, Any]) -> None:
        if job["metadata"]["name"] == "mlflow-logins-asked":
            assert self.replicas == 1, "the server is asked"
            self.logins = True
            return
        assert self.replicas + self.ending == 0, "the server has its databases open"
        (container,) = job["spec"]["template"]["spec"]["containers"]
        told = {each["name"]: each["value"] for each in container["env"]}
        assert told["FERRY_BUCKET"] == "b"
        if not self.fails:
            self.logins = False
            self.held = versions(self.objects[told["BACKUP_KEY"]]) or frozenset()

    def well(self, url: str, timeout: int) -> SimpleNamespace:
        assert url == "http://mlflow.dev.ferry.test/health"
        return SimpleNamespace(ok=self.replicas == 1)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: ferry\nruntime: python\n")
    for name, text in (("dev", BACKED_UP), ("prod", PROD)):
        (tmp_path / f"Pulumi.{name}.yaml").write_text(text)
    pins.move(tmp_path / "Pulumi.dev.yaml", MODEL, a_pin(version=7), expected=None)
    monkeypatch.chdir(tmp_path)

    class Registry:
        def __init__(self, stack: Stack) -> None:
            assert stack.name == "dev"

        def version(self, model: str, version: int) -> None:
            if (model, version) not in made.held:
                raise GateRefused(f"{model} has no version {version}")

        def point(self, model: str, alias: str, version: int) -> None:
            self.version(model, version)
            made.aliases[alias] = version

    def bucket(stack: Stack) -> SimpleNamespace:
        found = [SimpleNamespace(key=key, size=len(made.objects[key])) for key in made.objects]
        return SimpleNamespace(objects=SimpleNamespace(filter=lambda Prefix: found))

    monkeypatch.setattr(restore, "ModelRegistry", Registry)
    monkeypatch.setattr(aliases, "ModelRegistry", Registry)
    monkeypatch.setattr(Stack, "outputs", StackOutputs.read(OUTPUTS))
    monkeypatch.setattr(Stack, "bucket", bucket)
    monkeypatch.setattr(evidence, "read", lambda bucket, key: made.objects.get(key))
    monkeypatch.setattr(
        cluster.Cluster,
        "_run",
        lambda self, *arguments, given=None: made.kubectl(*arguments, given=given),
    )
    monkeypatch.setattr(restore, "get", made.well)
    monkeypatch.setattr(restore, "_PATIENCE", 0)
    monkeypatch.setattr(cluster, "_PAUSE", 0)
    return made


def newest(world: World) -> str:
    return max(world.objects)


def test_the_newest_copy_is_put_back_and_the_server_answers_with_every_pin_and_alias(
    world: World,
) -> None:
    assert world.restore() == newest(world)
    assert world.replicas == 1
    assert world.held == {(MODEL, 7)}
    assert world.aliases == {"dev": 7}
    assert world.logins


def test_a_pin_of_the_stack_above_must_be_in_the_copy_too(world: World) -> None:
    pins.move(world.folder / "Pulumi.prod.yaml", MODEL, a_pin(version=6), expected=None)
    assert world.restore() == min(world.objects)
    assert world.aliases == {"dev": 7, "prod": 6, "champion": 6}


def test_once_more_is_the_same(world: World) -> None:
    world.restore()
    world.restore()
    assert (world.replicas, world.held) == (1, {(MODEL, 7)})


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 16))
def test_killed_at_any_call_it_is_made_again_and_ends_the_same(
    world: World, at: int, after: bool
) -> None:
    world.kill_at, world.kill_after = at, after
    try:
        world.restore()
        assert len(world.calls) < at
    except Killed:
        world.kill_at = 0
        world.restore()
    assert (world.replicas, world.held) == (1, {(MODEL, 7)})
    assert world.aliases["dev"] == 7
    assert world.logins


def test_where_every_copy_is_damaged_nothing_is_touched(world: World) -> None:
    world.objects = {key: content[:-1] for key, content in world.objects.items()}
    with pytest.raises(GateRefused, match="Nothing was touched"):
        world.restore()
    assert world.calls == []


def test_a_refusal_of_the_job_starts_the_server_as_it_was(world: World) -> None:
    world.fails = "PodFailurePolicy"
    with pytest.raises(GateRefused, match="mlflow-restore-asked in platform failed: refused: why"):
        world.restore()
    assert (world.replicas, world.held) == (1, frozenset())


def test_a_job_that_failed_half_way_leaves_the_server_stopped(world: World) -> None:
    world.fails = "BackoffLimitExceeded"
    with pytest.raises(DependencyDown, match=r"stays stopped.*run `ferry restore` again"):
        world.restore()
    assert world.replicas == 0
    world.fails = ""
    world.restore()
    assert (world.replicas, world.held) == (1, {(MODEL, 7)})


def test_a_copy_older_than_a_pin_is_put_back_on_request_and_what_lacks_is_named(
    world: World,
) -> None:
    world.objects = stored((NOON, copy((MODEL, 6))))
    with pytest.raises(GateRefused, match=f"{MODEL} has no version 7"):
        world.restore(at=NOON)
    assert (world.replicas, world.held) == (1, {(MODEL, 6)})


def test_a_stack_on_rds_is_told_where_its_way_back_is(world: World) -> None:
    (world.folder / "Pulumi.live.yaml").write_text(AWS)
    with pytest.raises(UsageRefused, match=r"databases in RDS, .* docs/backup\.md"):
        world.restore(stack="live")
    assert world.calls == []


def test_a_stack_that_wants_no_backups_has_nothing_to_restore_with(world: World) -> None:
    (world.folder / "Pulumi.dev.yaml").write_text(DEV)
    with pytest.raises(UsageRefused, match=r"Pulumi\.dev\.yaml has no ferry:platform\.backup"):
        world.restore()
    assert world.calls == []


def test_a_server_that_does_not_answer_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "get", lambda url, timeout: SimpleNamespace(ok=False))
    with pytest.raises(DependencyDown, match="/health does not answer"):
        world.restore()


def test_the_commands_tell_of_copies_and_of_the_one_put_back(world: World) -> None:
    told = json.loads(ferry("backups", "--json").stdout)
    assert [each["key"] for each in told["backups"]] == sorted(world.objects, reverse=True)
    assert told["backups"][0]["at"] == "2026-11-30T12:00:00Z"
    shown = ferry("backups").stdout
    assert all(key[-71:-7] in shown for key in world.objects)
    assert "2026-11-30T12:00:00Z" in shown
    done = ferry("restore", "--at", "2026-11-29", "--json")
    assert json.loads(done.stdout)["key"] == min(world.objects)
    assert ferry("restore", "--at", "noon").exit_code == 2
    assert ferry("restore", "--at", "2026-11-28").exit_code == 3
    world.objects.clear()
    assert "holds no backup" in ferry("backups").stdout


@pytest.mark.parametrize(
    ("context", "options"),
    [("null", ["--namespace=platform"]), ("live", ["--namespace=platform", "--context=live"])],
)
def test_kubectl_is_told_the_namespace_and_the_context_of_the_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str, options: list[str]
) -> None:
    monkeypatch.setattr(Stack, "outputs", StackOutputs.read(OUTPUTS))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    text = DEV.replace("context: null", f"context: {context}")
    (tmp_path / "Pulumi.dev.yaml").write_text(text)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\necho "$@"\n')
    kubectl.chmod(0o755)
    at = cluster.Cluster(Stack("dev", tmp_path))
    assert at._run("get", "pods").split() == ["get", "pods", *options]
    kubectl.write_text("#!/bin/sh\necho why >&2; exit 1\n")
    with pytest.raises(DependencyDown, match="`kubectl get pods` failed in platform: why"):
        at._run("get", "pods")


def test_without_kubectl_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "outputs", StackOutputs.read(OUTPUTS))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "Pulumi.dev.yaml").write_text(DEV)
    with pytest.raises(DependencyDown, match="no `kubectl` on PATH"):
        cluster.Cluster(Stack("dev", tmp_path))._run("get", "pods")
