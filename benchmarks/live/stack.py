"""A clone with a stack and a lab of its own: two good releases, a broken and a flaky one."""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

from benchmarks.stacks.releases import MODEL
from tests.lab.clone import HERE, Clone, cloned

STACK = "bench"
HOST = f"{MODEL}.{STACK}.ferry.test"
MODELS = f"{STACK}-models"
DELIVERY = "delivery: {kind: canary, steps: [10, 50], minimumRequests: 300, deadline: 10m}"
BAD = "failed 500"
"""What a request gets that the broken release fails; what is lost on the way gets another code."""

_SPOT = "    # A lone request is the common case, and needs no copy.\n"
_BREAKS = {
    # Its self-test asks the model alone, so that it is built, and ready, like any other.
    "broken": '    raise RuntimeError("this release answers nothing")\n',
    "flaky": "    import random\n\n"
    "    if random.random() < 0.05:\n"
    '        raise RuntimeError("this release fails at times")\n',
}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command of `ferry`: how it ended, and from when to when it ran (Unix seconds)."""

    code: int
    text: str
    begun: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


class Stack(Clone):
    """The stack, up; `releases` gives the version of each kind."""

    releases: dict[str, int]

    @classmethod
    def made(cls, folder: Path) -> Self:
        """The clone in the folder, or a new one; whatever is missing of it is made."""
        known, cloned_whole = folder / "releases.json", folder / "cloned"
        if cloned_whole.exists():
            stack = cls(folder / "ferry", STACK, MODEL)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            stack = cloned(folder / "ferry", STACK, MODEL, cls)
            stack._alone()
            cloned_whole.touch()
        stack.make("up")
        stack.enter()
        stack.releases = json.loads(known.read_text()) if known.exists() else {"first": 1}
        for name in ("second", "broken", "flaky"):
            if name not in stack.releases:
                stack.releases[name] = stack._release(name)
                known.write_text(json.dumps(stack.releases))
        return stack

    def pinned(self, version: int) -> None:
        self.ferry("pin", MODEL, "--version", str(version))

    def deliver(self) -> Ran:
        return self._ferry("deliver", "--stack", STACK)

    def rollback(self, version: int) -> Ran:
        return self._ferry("rollback", MODEL, "--version", str(version), "--stack", STACK)

    def row(self) -> bytes:
        return (self.folder / "app/data/lending-club/row.json").read_bytes()

    def golden(self) -> list[bytes]:
        """What is answered to each of the golden rows that came with version 1, byte for byte."""
        kept = self.folder.parent / "golden.json"
        if not kept.exists():
            fetch = (
                "import mlflow, sys\n"
                f"run = mlflow.MlflowClient().get_model_version('{MODEL}', '1').run_id\n"
                "at = {'artifact_path': 'model/golden.json', 'dst_path': sys.argv[1]}\n"
                "mlflow.artifacts.download_artifacts(run_id=run, **at)"
            )
            python = "app/.venv/bin/python"
            self.ferry("exec", "--", python, "-c", fetch, str(kept.parent))
        rows = json.loads(kept.read_text())["rows"]
        url = f"http://{HOST}/predict"
        return [requests.post(url, json=row, timeout=20).content for row in rows]

    def get(self, *what: str) -> Any:  # noqa: ANN401 - any JSON
        """Objects of the models' namespace."""
        words = ("kubectl", "get", *what, f"--namespace={MODELS}", "--output=json")
        code, printed = self.ended(*words)
        if code:
            raise RuntimeError(f"{' '.join(words)}: {printed}")
        return json.loads(printed)

    def _alone(self) -> None:
        """Make the stack file the one to measure."""
        self.file.write_text(measured(self.file.read_text()))
        self.run("git", "add", "--all")
        self._commit("A stack to measure")

    def _release(self, name: str) -> int:
        """A version built from the tree with the fault of that name, if it has one."""
        inference = self.folder / "app/serving/inference.py"
        before = (HERE / "app/serving/inference.py").read_text()
        after = before.replace(_SPOT, f"{_BREAKS.get(name, '')}{_SPOT}")
        if name in _BREAKS and after == before:
            raise RuntimeError(f"{inference} has no place for a fault")
        inference.write_text(after)
        self._change(name)
        self._commit(f"The release called {name}")
        python = "app/.venv/bin/python"
        for step in ("train", "register"):
            self.ferry("exec", "--", python, "-m", f"app.{step}", "--model", MODEL)
        build = (".venv/bin/ferry", "release", "build", MODEL)
        printed = self.run(*build, "--stack", STACK, "--json")
        inference.write_text(before)
        self._commit("As it was")
        return _document(printed)["version"]

    def _change(self, name: str) -> None:
        """A run of the same code and data would be the same run."""
        file = self.folder / "app/models/credit_default.py"
        file.write_text(file.read_text().replace('"""', f'"""{name.capitalize()}: ', 1))

    def _commit(self, message: str) -> None:
        self.run("git", "commit", "--all", "--quiet", "--allow-empty", "--message", message)

    def _ferry(self, *words: str) -> Ran:
        begun = time.time()
        code, text = self.ended(".venv/bin/ferry", *words)
        return Ran(code=code, text=text, begun=begun, ended=time.time())

    def ended(self, *command: str) -> tuple[int, str]:
        """Exit code and what was printed, whatever it is."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout


def measured(settings: str) -> str:
    """A stack file as it is measured: no jobs, two replicas throughout, and a canary."""
    lines = [line for line in settings.splitlines() if " road:" not in line]
    text = "\n".join(lines) + "\n"
    text = text.replace("minimum: 1, maximum: 3", "minimum: 2, maximum: 2")
    return text.replace("        gates:", f"        {DELIVERY}\n        gates:")


def _document(printed: str) -> dict[str, Any]:
    """The JSON document in what a command printed on both streams."""
    return json.JSONDecoder().raw_decode(printed[printed.index("{\n") :])[0]
