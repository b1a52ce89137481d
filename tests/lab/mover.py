"""A model that is delivered again and again on a lab of its own, under load all the time."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from lab import cluster, environment, paths
from lab.cluster.progress import Progress

MODELS, MONITORING, PLATFORM = (f"moving-{role}" for role in ("models", "monitoring", "platform"))
_PATIENCE = 400  # seconds for one command
_PROJECT = Path(__file__).parent / "moving"
# What `ferry deliver` has of the engine, and all that it has of it.
_DELIVER = """
import sys
from pathlib import Path
from promotion import engine
from promotion.stack import Stack
stack = Stack("t", Path.cwd())
engine.clear_pending(stack, print)
sys.exit(not engine.up(stack, print).ok)
"""


class Moving:
    """A stack of one model, and someone who asks it `rate` times a second.

    `wanted` is what the program reads; `up` changes it.
    """

    def __init__(self, lab: str, folder: Path, variables: dict[str, str], rate: int) -> None:
        self.folder, self.rate = folder, rate
        self.url = f"http://model.{lab}.ferry.test/predict"
        self.environment = {**os.environ, **variables, "PYTHONPATH": str(paths.repository())}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.answers: list[tuple[float, str]] = []
        self.wanted: dict[str, Any] = {
            "root": str(paths.repository()),
            "domain": f"{lab}.ferry.test",
            "version": 1,
            "manner": "good",
            "delivery": "canary",
            "steps": [25, 50],
            "minimum": 20,
            "deadline": 120,
            "watched": False,
            "spare": False,
            "at_once": False,
            "cpu": "50m",
            "replicas": 2,
        }
        self._done = threading.Event()
        self._local = threading.local()

    def pulumi(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder, env=self.environment, timeout=_PATIENCE, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout

    def want(self, version: int, delivery: str = "canary", **changes: Any) -> None:  # noqa: ANN401
        """What the next update is to make true."""
        self.wanted |= {"version": version, "delivery": delivery, **changes}
        (self.folder / "wanted.json").write_text(json.dumps(self.wanted))

    def up(
        self,
        version: int,
        delivery: str = "canary",
        **changes: Any,  # noqa: ANN401
    ) -> tuple[int, str, list[str]]:
        """The exit code, what was printed, and what was answered meanwhile."""
        self.want(version, delivery, **changes)
        began = time.time()
        code, text = self.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        return code, text, self.since(began)

    def deliver(self) -> subprocess.Popen[str]:
        """What is wanted, brought about as `ferry deliver` does; a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", _DELIVER],
            cwd=self.folder, env=self.environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def since(self, began: float) -> list[str]:
        return [answer for at, answer in list(self.answers) if at >= began]

    def for_a_while(self, seconds: float = 5) -> Counter[str]:
        began = time.time()
        time.sleep(seconds)
        return Counter(self.since(began))

    def unchanged(self) -> bool:
        return self.pulumi("preview", "--expect-no-changes")[0] == 0

    def kubectl(self, *arguments: str, namespace: str = MODELS) -> str:
        done = subprocess.run(
            ["kubectl", f"--namespace={namespace}", *arguments],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *what: str) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.kubectl("get", *what, "--output=json"))

    def load(self) -> None:
        """Asks `rate` times a second whatever the answers, until `quiet`."""
        following = time.time()
        with ThreadPoolExecutor(64) as pool:
            for row in range(sys.maxsize):
                if self._done.is_set():
                    return
                pool.submit(self._ask, following, row)
                following += 1 / self.rate
                time.sleep(max(0.0, following - time.time()))

    def wait(self) -> None:
        """Until there is an answer: Traefik takes a new route a little after it says so."""
        until = time.time() + 30
        while requests.get(self.url, timeout=10).status_code != 200 and time.time() < until:
            time.sleep(0.2)

    def quiet(self) -> None:
        self._done.set()

    def _ask(self, at: float, row: int) -> None:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        try:
            answer = self._local.session.post(self.url, json={"row": row}, timeout=10)
            ok = answer.status_code == 200
            said = answer.json()["version"] if ok else f"failed {answer.status_code}"
        except requests.RequestException as error:
            said = f"failed {type(error).__name__}"
        self.answers.append((at, said))


def failed(answers: list[str]) -> list[str]:
    return [each for each in answers if each.startswith("failed")]


@contextmanager
def moving(
    lab: str,
    folder: Path,
    *,
    rate: int,
    judge: Path | None = None,
    **first: Any,  # noqa: ANN401
) -> Generator[Moving]:
    """The first version serves, and is asked all the time; `judge` takes the real one's place."""
    shutil.copytree(_PROJECT, folder)
    shutil.copytree(paths.repository() / "analysis", folder / "analysis", dirs_exist_ok=True)
    if judge:
        shutil.copy(judge, folder / "analysis" / "judge.py")
    cluster.purge(lab, Progress())  # of a run that was killed
    try:
        cluster.up(lab, Progress())
        variables, _ = environment.environment(lab)
        trial = Moving(lab, folder, variables, rate)
        assert trial.pulumi("stack", "init", "t")[0] == 0
        code, text, _ = trial.up(1, **first)
        assert code == 0, text
        trial.wait()
        asking = threading.Thread(target=trial.load)
        asking.start()
        try:
            yield trial
        finally:
            trial.quiet()
            asking.join()
    finally:
        cluster.purge(lab, Progress())
