"""Releases that move behind real weights: what each request got, and what an update said."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from lab import cluster, environment, paths
from lab.cluster.progress import Progress

pytestmark = pytest.mark.lab

LAB = "moving"
MODELS = "moving-models"
URL = f"http://model.{LAB}.ferry.test/predict"
RATE = 25  # requests a second
_PATIENCE = 400  # seconds for one command
# From 90 on, the judge of this trial finds a version bad.
BAD = 91


class Moving:
    """A stack of one model on a lab of its own, under load all the time."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self._environment = {**os.environ, **variables}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.answers: list[tuple[float, str]] = []
        self._done = threading.Event()
        self._local = threading.local()

    def pulumi(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder, env=self._environment, timeout=_PATIENCE, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout

    def up(self, version: int, delivery: str = "canary") -> tuple[int, str, list[str]]:
        """The exit code, what was printed, and what was answered meanwhile."""
        wanted = {
            "root": str(paths.repository()),
            "domain": f"{LAB}.ferry.test",
            "version": version,
            "delivery": delivery,
            "steps": [25, 50],
        }
        (self.folder / "wanted.json").write_text(json.dumps(wanted))
        began = time.time()
        code, text = self.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        return code, text, self.since(began)

    def since(self, began: float) -> list[str]:
        return [answer for at, answer in list(self.answers) if at >= began]

    def for_a_while(self, seconds: float = 5) -> Counter[str]:
        began = time.time()
        time.sleep(seconds)
        return Counter(self.since(began))

    def unchanged(self) -> bool:
        return self.pulumi("preview", "--expect-no-changes")[0] == 0

    def get(self, *what: str) -> Any:  # noqa: ANN401 - any JSON
        printed = subprocess.run(
            ["kubectl", "get", *what, "--namespace", MODELS, "--output=json"],
            env=self._environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return json.loads(printed)

    def load(self) -> None:
        """Asks RATE times a second whatever the answers, until `quiet`."""
        following = time.time()
        with ThreadPoolExecutor(64) as pool:
            while not self._done.is_set():
                pool.submit(self._ask, following)
                following += 1 / RATE
                time.sleep(max(0.0, following - time.time()))

    def wait(self) -> None:
        """Until there is an answer: Traefik takes a new route a little after it says so."""
        until = time.time() + 30
        while requests.get(URL, timeout=10).status_code != 200 and time.time() < until:
            time.sleep(0.2)

    def quiet(self) -> None:
        self._done.set()

    def _ask(self, at: float) -> None:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        try:
            answer = self._local.session.post(URL, data=b"{}", timeout=10)
            said = answer.text if answer.status_code == 200 else f"failed {answer.status_code}"
        except requests.RequestException as error:
            said = f"failed {type(error).__name__}"
        self.answers.append((at, said))


def failed(answers: list[str]) -> list[str]:
    return [each for each in answers if each.startswith("failed")]


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    """A model of version 1, rolling, and someone who asks it all the time."""
    folder = tmp_path_factory.mktemp("moving") / "project"
    shutil.copytree(Path(__file__).parent / "moving", folder)
    try:
        cluster.up(LAB, Progress())
        variables, _ = environment.environment(LAB)
        trial = Moving(folder, variables)
        assert trial.pulumi("stack", "init", "t")[0] == 0
        code, text, _ = trial.up(1, "rolling")
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
        cluster.purge(LAB, Progress())


@pytest.fixture(scope="module")
def canary(moving: Moving) -> Moving:
    """The same model, delivered by weights from now on."""
    code, text, answers = moving.up(1)
    assert code == 0, text
    assert failed(answers) == []
    return moving


def test_the_first_delivery_needs_no_verdict(canary: Moving) -> None:
    assert canary.get("analysisruns")["items"] == []
    assert canary.unchanged()


def test_the_autoscaler_moves_the_rollout(canary: Moving) -> None:
    until = time.time() + 60
    while canary.get("rollout", "model")["spec"].get("replicas") != 2 and time.time() < until:
        time.sleep(1)
    assert canary.get("rollout", "model")["spec"]["replicas"] == 2
    assert canary.unchanged()


@pytest.fixture(scope="module")
def second(canary: Moving) -> list[str]:
    """What was answered while version 2 took over from version 1."""
    code, text, answers = canary.up(2)
    assert code == 0, text
    return answers


def test_a_good_release_takes_over_without_a_failed_request(
    canary: Moving, second: list[str]
) -> None:
    assert failed(second) == []
    assert {"1", "2"} <= set(second)
    assert set(canary.for_a_while()) == {"2"}
    assert canary.unchanged()


def test_each_step_was_judged_by_the_hashes_of_both_releases(
    canary: Moving, second: list[str]
) -> None:
    runs = canary.get("analysisruns")["items"]
    assert [run["status"]["phase"] for run in runs] == ["Successful"] * 2
    for run in runs:
        hashes = {each["name"]: each["value"] for each in run["spec"]["args"]}
        assert len(set(hashes.values())) == 2


@pytest.fixture(scope="module")
def refused(canary: Moving, second: list[str]) -> tuple[str, list[str]]:
    """What an update to a bad version printed, and what was answered meanwhile."""
    code, text, answers = canary.up(BAD)
    assert code != 0, text
    return text, answers


def test_a_bad_release_fails_the_update_with_the_judges_reason(
    refused: tuple[str, list[str]],
) -> None:
    text, _ = refused
    assert f"version {BAD} is no good" in text


def test_only_the_first_step_of_the_traffic_saw_it(
    canary: Moving, refused: tuple[str, list[str]]
) -> None:
    _, answers = refused
    assert failed(answers) == []
    begun = answers[answers.index(str(BAD)) :]
    begun = begun[: len(begun) - begun[::-1].index(str(BAD))]
    assert 0.1 < Counter(begun)[str(BAD)] / len(begun) < 0.4
    assert set(canary.for_a_while()) == {"2"}


def test_the_former_release_put_back_ends_with_an_empty_preview(
    canary: Moving, refused: tuple[str, list[str]]
) -> None:
    code, text, answers = canary.up(2)
    assert code == 0, text
    assert set(answers) == {"2"}
    assert canary.get("rollout", "model")["status"]["phase"] == "Healthy"
    assert canary.unchanged()


def test_back_to_rolling_without_a_failed_request(canary: Moving, second: list[str]) -> None:
    code, text, answers = canary.up(2, "rolling")
    assert code == 0, text
    assert failed(answers) == []
    assert set(canary.for_a_while()) == {"2"}
    assert canary.unchanged()


def test_all_traffic_at_once_after_the_verdict(canary: Moving) -> None:
    for version in (2, 3):
        code, text, answers = canary.up(version, "blueGreen")
        assert code == 0, text
        assert failed(answers) == []
    assert set(canary.for_a_while()) == {"3"}
    code, text, answers = canary.up(BAD, "blueGreen")
    assert code != 0
    assert f"version {BAD} is no good" in text
    assert set(answers) == {"3"}
