"""A clone of the working tree with a stack of its own, and the commands typed in it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, overload

from ruamel.yaml import YAML

HERE = Path(__file__).parents[2]


class Clone:
    """A clone with the lab's environment, and the commands a person would type in it."""

    def __init__(self, folder: Path, stack: str, model: str) -> None:
        self.folder, self.stack, self.model = folder, stack, model
        self.file = folder / f"Pulumi.{stack}.yaml"
        self.environment = dict(os.environ)
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(self, *command: str, code: int = 0, given: str | None = None) -> str:
        """What the command printed, both streams; fails the test on another exit code."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, input=given,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def make(self, target: str, code: int = 0) -> str:
        return self.run("make", target, f"STACK={self.stack}", code=code)

    def borrow_libraries(self) -> None:
        """Runs with the libraries of the tree under test; nothing is installed again."""
        (self.folder / ".git/info/exclude").write_text(".venv\n")  # a link is no folder
        for name in (".venv", "app/.venv"):
            (HERE / name).touch()  # newer than the copied lock, so that make takes it as it is
            (self.folder / name).symlink_to(HERE / name)

    def leave_no_lab(self, stack: str) -> None:
        """A run that was killed leaves its lab, whose history the tree under test does not know."""
        self.run(sys.executable, "-m", "lab", "purge", stack)

    def enter(self) -> None:
        """Take over what `make env` exports, as `eval` would."""
        lines = subprocess.run(
            ["bash", "-c", f'eval "$(make -s env STACK={self.stack})" && env -0'],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        self.environment = dict(line.split("=", 1) for line in lines.split("\0") if line)

    def ferry(self, *arguments: str, code: int = 0) -> str:
        command, *rest = arguments
        return self.run(".venv/bin/ferry", command, "--stack", self.stack, *rest, code=code)

    def pulumi(self, *arguments: str, code: int = 0) -> str:
        return self.run("pulumi", *arguments, "--stack", self.stack, "--non-interactive", code=code)

    def output(self, name: str) -> Any:  # noqa: ANN401 - whatever the program exports
        """An output of the stack, in the clear."""
        return json.loads(self.pulumi("stack", "output", name, "--show-secrets", "--json"))

    def kubectl(self, *arguments: str) -> str:
        return self.run("kubectl", *arguments)

    def status(self) -> dict:
        row = f"{self.model}=app/data/lending-club/row.json"
        answer = self.ferry("status", "--score", row, "--wait", "60", "--json")
        return json.loads(answer[answer.index("{") :])

    def pin(self) -> dict:
        return YAML(typ="safe").load(self.file.read_text())["config"]["ferry:pins"][self.model]


C = TypeVar("C", bound=Clone)


@contextmanager
def purged(clone: C) -> Generator[C]:
    """The clone, whose stack and its data are gone at the end."""
    try:
        yield clone
    finally:
        clone.make("purge")


@overload
def cloned(folder: Path, stack: str, model: str) -> Clone: ...
@overload
def cloned(folder: Path, stack: str, model: str, kind: type[C]) -> C: ...
def cloned(folder: Path, stack: str, model: str, kind: type[Clone] = Clone) -> Clone:
    """The working tree as one commit, with a stack of its own: a new stack is a new file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HERE, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (HERE / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, folder / name)
    copy = kind(folder, stack, model)
    copy.leave_no_lab(stack)
    dev = (folder / "Pulumi.dev.yaml").read_text()
    settings = dev.partition("  ferry:pins:")[0].partition("encryptionsalt:")[0]
    assert "environment: dev" in settings
    copy.file.write_text(
        settings.replace("environment: dev", f"environment: {stack}").replace(
            "dev.ferry.test", f"{stack}.ferry.test"
        )
    )
    for command in (
        ("init", "--quiet"),
        ("config", "user.name", stack),
        ("config", "user.email", f"{stack}@ferry.test"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "The tree under test"),
    ):
        copy.run("git", *command)
    return copy
