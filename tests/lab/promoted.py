"""A small stack `dev` beside the one that is rehearsed, and its release on the way up."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stacks import PARTS, releases
from benchmarks.stacks.answers import Answers, answering
from benchmarks.stacks.releases import MODEL
from benchmarks.stacks.world import FILE, ROOT, variables
from infra.settings import Pin
from lab.rehearsal import services
from lab.rehearsal.stage import Stage
from lab.standins.aws.stage import ENDPOINT
from promotion import moves, pins
from promotion import stack as stacks
from tests.lab.stores import image_registry, objects, s3_store

Done = subprocess.CompletedProcess[str]
VERSION = 21
BELOW = "dev"


@dataclass(frozen=True)
class Promoted:
    """What each command ended with, and what the pin is after them."""

    promote: Done
    verify: Done
    up: Done
    release: Pin
    pinned: Pin | None


def promoted(on: Stage, stack: str, folder: Path) -> Promoted:
    """What `dev` serves is promoted to `stack`, which is up; and deployed there.

    Real in `dev`: engine, store, registry, evidence, image. Stood in for: its pods and MLflow.
    """
    with contextlib.ExitStack() as up:
        for name in ("store", "registry"):
            (folder / name).mkdir(parents=True)
        store = up.enter_context(s3_store(folder / "store"))
        images = up.enter_context(image_registry(folder / "registry", locked=True))
        kept = folder / "store/data" / BELOW / PARTS[-1]

        def served(_: str, model: str) -> str:
            return str(json.loads((kept / f"{model}.json").read_text())["version"])

        answers = up.enter_context(answering(Answers(served)))
        bucket = objects(store).create_bucket(Bucket=BELOW, ObjectLockEnabledForBucket=True)
        login = (images.user, images.password)
        made = releases.make(bucket, f"http://{images.address}", login, VERSION)
        answers.versions[VERSION] = releases.registered(made)
        below = stacks.Stack(BELOW, on.project)
        on.file(BELOW).write_text(FILE.format(stack=BELOW))
        _committed(on.project)
        moves.move(below, MODEL, made.pin(), expected=None, action="pin")
        small = variables(store, images, answers) | {ENDPOINT: ""}  # no account that is emulated
        _bring_up(on, small)
        with _unguarded(on, stack):
            promote = on.run("ferry", "promote", MODEL, "--to", stack)
            verify = on.run("ferry", "verify", "--stack", stack)
        return Promoted(
            promote=promote,
            verify=verify,
            up=on.pulumi("up", "--yes", "--skip-preview", "--stack", stack),
            release=made.pin(),
            pinned=pins.read(stacks.Stack(stack, on.project).file, MODEL),
        )


@contextlib.contextmanager
def _unguarded(on: Stage, stack: str) -> Generator[None]:
    """Without the bucket's policy: the emulator reads no condition, and so refuses everybody."""
    told = _must(on.pulumi("stack", "output", "bucket", "--json", "--stack", stack))
    bucket = {"Bucket": json.loads(told)["name"]}
    s3 = services.client("s3", on.aws, on.variables["AWS_REGION"])
    policy = s3.get_bucket_policy(**bucket)["Policy"]
    s3.delete_bucket_policy(**bucket)
    try:
        yield
    finally:
        s3.put_bucket_policy(**bucket, Policy=policy)


def _bring_up(on: Stage, variables: dict[str, str]) -> None:
    """By a program of its own."""
    program, ours = on.project / "__main__.py", (on.project / "__main__.py").read_text()
    shutil.copy(ROOT / "benchmarks/stacks/program.py", program)
    try:
        for words in (["stack", "init"], ["up", "--yes", "--skip-preview"]):
            _must(on.pulumi(*words, "--stack", BELOW, **variables))
    finally:
        program.write_text(ours)


def _committed(project: Path) -> None:
    """History, as of a clone: who promotes is asked for by it."""
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@ferry.test")
    for words in (("init", "--quiet"), ("add", "Pulumi.*.yaml"), ("commit", "-qm", "Two stacks")):
        subprocess.run(["git", *identity, *words], cwd=project, check=True)


def _must(done: Done) -> str:
    assert done.returncode == 0, done.stdout
    return done.stdout
