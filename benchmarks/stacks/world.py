"""Stacks of a project of their own, and the commands typed in it; nothing but pods is left out."""

import contextlib
import functools
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.stacks import PARTS, releases
from benchmarks.stacks.answers import Answers, answering
from benchmarks.stacks.command import Command
from benchmarks.stacks.releases import MODEL
from infra.settings import Pin
from lab import environment, toolchain
from promotion import ledger, pins
from promotion.ledger import Ledger
from promotion.stack import Stack
from tests.lab.stores import Service, image_registry, objects, s3_store

ROOT = Path(__file__).parents[2]
UPPER = "prod"
GATE = "BENCH_GATE"
"""Names a folder in which the engine waits for the file `open`, having left one of its own."""

FILE = """\
config:
  ferry:platform:
    environment: {stack}
    foundation: {{kind: cluster, context: null}}
    ingress: {{class: traefik, domain: {stack}.ferry.test}}
    data: {{keep: false, lockDays: 1}}
"""


class World:
    """`prod` above the stacks `lower`; each has a bucket, all share store and registry."""

    def __init__(
        self,
        folder: Path,
        lower: Sequence[str],
        store: Service,
        registry: Service,
        answers: Answers,
    ) -> None:
        self.folder, self.lower, self.answers = folder / "project", tuple(lower), answers
        self._store, self._registry = store, registry
        self._started: list[Command] = []
        self._home = folder / "home"
        self.backend = folder / "backend"
        for path in (self.folder, self._home, self.backend):
            path.mkdir()
        environment.without_log(self._home)
        self._launchers(folder / "bin")
        self.variables = self._variables(folder / "bin")

    def command(self, *words: str, who: str = "bench", **more: str) -> Command:
        """Start a command as the operator `who`, with `more` in its environment."""
        named = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "user.email",
            "GIT_CONFIG_VALUE_0": f"{who}@ferry.test",
        }
        self._started.append(Command(words, self.folder, {**self.variables, **named, **more}))
        return self._started[-1]

    def stop(self) -> None:
        """End every command that is still running."""
        for command in self._started:
            command.stop()

    def ferry(self, *words: str, who: str = "bench", **more: str) -> Command:
        return self.command(str(Path(sys.executable).parent / "ferry"), *words, who=who, **more)

    def must(self, *words: str) -> str:
        """What a command printed that has to succeed."""
        done = self.command(*words).end()
        if done.code:
            raise RuntimeError(f"{' '.join(words)}: exit {done.code}\n{done.text}")
        return done.text

    def up(self, stack: str) -> None:
        self.must("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack)

    def unchanged(self, stack: str) -> bool:
        """Whether the engine would change nothing."""
        words = ("preview", "--expect-no-changes", "--non-interactive", "--stack", stack)
        return self.command("pulumi", *words).end().code == 0

    def release(self, version: int, stack: str) -> Pin:
        """A release registered, and kept by the stack `stack`."""
        login = (self._registry.user, self._registry.password)
        url = self.variables["BENCH_REGISTRY"]
        made = releases.make(self.bucket(stack), url, login, version)
        self.answers.versions[version] = releases.registered(made)
        return made.pin()

    def file(self, stack: str) -> Path:
        return self.folder / f"Pulumi.{stack}.yaml"

    def stack(self, name: str) -> Stack:
        """As promotion sees it; for its files, as its outputs need the engine's environment."""
        return Stack(name, self.folder)

    def pin(self, stack: str) -> Pin | None:
        return pins.read(self.file(stack), MODEL)

    def ledger(self, stack: str) -> Ledger:
        return ledger.of(self.stack(stack))

    def served(self, stack: str) -> list[int | None]:
        """The version that each object of the model says, the one that serves last."""
        return [self._said(stack, f"{part}/{MODEL}.json") for part in PARTS]

    @functools.cache  # noqa: B019 - a world lives as long as the process
    def bucket(self, stack: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
        return self._s3.Bucket(stack)

    def make(self) -> None:
        """Files, history and buckets; no stack is up yet."""
        (self.folder / "Pulumi.yaml").write_text(
            f"name: ferry\nruntime: python\nbackend: {{url: 'file://{self.backend}?{environment.WHOLE}'}}\n"
        )
        program = Path(__file__).with_name("program.py")
        shutil.copy(program, self.folder / "__main__.py")
        for stack in (*self.lower, UPPER):
            text = FILE.format(stack=stack)
            if stack == UPPER:
                text = text.replace("    found", f"    below: {self.lower[0]}\n    found")
            self.file(stack).write_text(text)
            self._s3.create_bucket(Bucket=stack, ObjectLockEnabledForBucket=True)
            self.must("pulumi", "stack", "init", stack, "--non-interactive")
        self.must("git", "init", "--quiet")
        self.must("git", "add", "--all")
        self.must("git", "-c", "user.name=bench", "commit", "--quiet", "--message=Two stacks")

    @functools.cached_property
    def _s3(self) -> Any:  # noqa: ANN401
        return objects(self._store)

    def _said(self, stack: str, key: str) -> int | None:
        try:
            found = self._s3.meta.client.get_object(Bucket=stack, Key=key)
            return json.loads(found["Body"].read())["version"]
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise

    def _launchers(self, folder: Path) -> None:
        folder.mkdir()
        stand_ins = environment.STAND_INS.items()
        environment.scripts(folder, {name: each for name, each in stand_ins if name != "docker"})
        engine = folder / "pulumi"
        engine.write_text(_engine(toolchain.binary("pulumi")))
        engine.chmod(0o755)

    def _variables(self, launchers: Path) -> dict[str, str]:
        foreign = ("AWS_", "PULUMI_", "FERRY_", "MLFLOW_", "GIT_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        interpreter = Path(sys.executable).parent
        return {
            **kept,
            "PATH": f"{launchers}:{interpreter}:{os.environ['PATH']}",
            "PULUMI_HOME": str(self._home),
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            **variables(self._store, self._registry, self.answers),
        }


def variables(store: Service, registry: Service, answers: Answers) -> dict[str, str]:
    """Where the small stacks' program finds what it stands on, and the modules that it imports."""
    return {
        "BENCH_ROOT": str(ROOT),
        "BENCH_STORE": f"http://{store.address}",
        "BENCH_USER": store.user,
        "BENCH_PASSWORD": store.password,
        "BENCH_REGISTRY": f"http://{registry.address}",
        "BENCH_REGISTRY_PASSWORD": registry.password,
        "BENCH_MLFLOW": answers.url,
    }


def _engine(binary: Path) -> str:
    """A launcher of the engine that waits where the environment has a gate."""
    return f"""\
#!/bin/sh
if [ -n "${GATE}" ] && [ ! -e "${GATE}/open" ]; then
    : > "${GATE}/waiting.$$"
    while [ ! -e "${GATE}/open" ]; do sleep 0.02; done
fi
exec {shlex.quote(str(binary))} "$@"
"""


@contextlib.contextmanager
def world(lower: Sequence[str] = ("dev",)) -> Generator[World]:
    """A world in a folder of its own, until the end of the `with`; none of its stacks is up."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ferry-bench-")))
        for name in ("store", "registry"):
            (folder / name).mkdir()
        store = stack.enter_context(s3_store(folder / "store"))
        registry = stack.enter_context(image_registry(folder / "registry", locked=True))

        def served(name: str, model: str) -> str | None:
            # The store keeps an object as a file; a model has it at hand as well.
            kept = folder / f"store/data/{name}/{PARTS[-1]}/{model}.json"
            return str(json.loads(kept.read_text())["version"]) if kept.is_file() else None

        answers = stack.enter_context(answering(Answers(served)))
        made = World(folder, lower, store, registry, answers)
        stack.callback(made.stop)
        made.make()
        yield made
