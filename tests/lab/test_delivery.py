"""Releases that move behind real weights: what each request got, and what an update said."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import mover
from tests.lab.mover import Moving, failed

pytestmark = pytest.mark.lab

LAB = "moving"
# From 90 on, the judge of this trial finds a version bad.
BAD = 91


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    """A model of version 1, rolling, and someone who asks it all the time."""
    folder = tmp_path_factory.mktemp("moving") / "project"
    judge = Path(__file__).parent / "moving" / "judge.py"
    with mover.moving(LAB, folder, rate=25, judge=judge, delivery="rolling") as trial:
        yield trial


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


def test_a_refused_release_that_is_offered_again_at_once_is_judged_again(canary: Moving) -> None:
    code, text, answers = canary.up(3, "blueGreen")
    assert code == 0, text
    code, text, more = canary.up(BAD, "blueGreen")
    assert code != 0
    assert f"version {BAD} is no good" in text
    assert set(answers + more) == {"3"}
