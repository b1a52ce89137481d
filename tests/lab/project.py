"""A small Pulumi project of its own, run by the real engine with the lab's stand-ins."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from lab import environment, toolchain

_PATIENCE = 240  # seconds for one command


@dataclass(frozen=True)
class Ran:
    """How one command ended, and all that it printed."""

    code: int
    text: str


class Project:
    """A project in `folder` with one stack and a backend of its own."""

    def __init__(self, folder: Path, variables: dict[str, str] | None = None) -> None:
        self.folder = folder / "project"
        self._home = folder
        self._variables = variables or {}
        for name in (self.folder, folder / "backend", folder / "bin", folder / "home"):
            name.mkdir()
        environment.without_log(folder / "home")
        environment.scripts(folder / "bin", environment.STAND_INS)
        (self.folder / "Pulumi.yaml").write_text(
            f"name: trial\nruntime: python\nbackend:\n  url: file://{folder}/backend\n"
        )
        self.run("stack", "init", "t")

    def program(self, *parts: str) -> "Project":
        """Makes the parts, each freed of its indentation, the program."""
        (self.folder / "__main__.py").write_text("\n".join(map(dedent, parts)))
        return self

    def run(self, *arguments: str) -> Ran:
        """One command of the engine."""
        done = subprocess.run(
            [str(toolchain.binary("pulumi")), *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
        )
        return Ran(done.returncode, done.stdout)

    def environment(self) -> dict[str, str]:
        """What a command runs with."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        interpreter = Path(sys.executable).parent
        return {
            **kept,
            "PATH": f"{self._home / 'bin'}:{interpreter}:{os.environ['PATH']}",
            "PULUMI_HOME": str(self._home / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "trial",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            **self._variables,
        }

    def up(self, *arguments: str) -> Ran:
        """An update that must succeed."""
        return self._succeed("up", "--yes", "--skip-preview", *arguments)

    def refresh(self) -> Ran:
        return self._succeed("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Ran:
        return self._succeed("destroy", "--yes", "--skip-preview")

    def preview(self) -> dict[str, int]:
        """How many resources a preview would create, update, replace, delete or leave."""
        shown = self._succeed("preview", "--json").text
        summary: dict[str, int] = json.loads(shown[shown.index("{") :])["changeSummary"]
        return {key: count for key, count in summary.items() if key != "same"}

    def steps(self) -> dict[str, str]:
        """What a preview would do to each resource, by its name; unchanged ones are left out."""
        shown = self._succeed("preview", "--json").text
        listed = json.loads(shown[shown.index("{") :])["steps"]
        return {_name(each["urn"]): each["op"] for each in listed if each["op"] != "same"}

    def fail(self, *arguments: str) -> str:
        """What a command printed that must fail."""
        ran = self.run(*arguments)
        assert ran.code != 0, ran.text
        return ran.text

    def resource(self, name: str) -> dict[str, Any]:
        """The resource of that name in state."""
        return next(each for each in self.resources("") if _name(each["urn"]) == name)

    def output(self, name: str) -> Any:  # noqa: ANN401 - whatever the program exports
        """One of the stack's outputs, in clear."""
        return json.loads(self._succeed("stack", "output", "--json", "--show-secrets").text)[name]

    def state(self) -> str:
        """The stack's state as it is stored."""
        return next((self._home / "backend" / ".pulumi").rglob("t.json")).read_text()

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """The resources in state whose type contains `kind`."""
        found = json.loads(self.state())["checkpoint"]["latest"].get("resources", [])
        return [each for each in found if kind in each["type"]]

    def _succeed(self, *arguments: str) -> Ran:
        ran = self.run(*arguments)
        assert ran.code == 0, ran.text
        return ran


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]
