"""Faults in the middle of a canary: it is held or put back with the reason, never waved through."""

import os
import signal
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab import mover
from tests.lab.mover import MONITORING, PLATFORM, Moving, failed

pytestmark = pytest.mark.lab

LAB = "faults"
MINIMUM = 100  # requests of each release
ENOUGH, SHORT = 150, 40  # seconds for a verdict; for one that cannot come
Ended = tuple[int, str, list[str]]


class Trial:
    """A canary under way, and what the update says of it in the end."""

    def __init__(self, moving: Moving) -> None:
        self.moving = moving
        self.version = 1
        self.stable = "1"
        self.canary = "none"
        self._pool = ThreadPoolExecutor(1)

    def begin(self, *, deadline: int = ENOUGH) -> Future[Ended]:
        """Offer the next version; returns once a judge looks at it, as `canary`."""
        self.version += 1
        ending = self._pool.submit(self._up, deadline=deadline)
        self.canary = self.judged()
        return ending

    def over(self) -> None:
        """No update is under way, nor locked by one that was killed: the next test's may begin."""
        self._pool.submit(self.moving.pulumi, "cancel", "--yes").result()
        answers = list(self.moving.for_a_while(1))
        (self.stable,) = set(answers) - set(failed(answers))  # the stable itself may be sick

    def offer(self, manner: str = "good", *, spare: bool = False) -> Ended:
        """Offer the next version, and wait for what becomes of it."""
        self.version += 1
        return self._up(manner=manner, spare=spare, deadline=ENOUGH)

    def _up(self, *, manner: str = "good", spare: bool = False, deadline: int) -> Ended:
        return self.moving.up(
            self.version, manner=manner, spare=spare, deadline=deadline, at_once=False
        )

    def judged(self) -> str:
        """Until a judge looks at the version that was offered last; the hash of its release."""
        until = time.monotonic() + 180
        while time.monotonic() < until:
            canary = self._canary()
            if any(pod["status"].get("phase") == "Running" for pod in self._judges(canary)):
                return canary
            time.sleep(0.5)
        raise AssertionError(self.moving.kubectl("get", "rollouts,analysisruns,jobs,pods"))

    def _judges(self, release: str) -> list[dict[str, Any]]:
        runs = self.moving.get("analysisruns", f"--selector=rollouts-pod-template-hash={release}")
        running = [run for run in runs["items"] if run["status"].get("phase") == "Running"]
        jobs = [
            measured["metadata"]["job-name"]
            for run in running
            for result in run["status"].get("metricResults", ())
            for measured in result.get("measurements", ())
        ]
        return [
            pod
            for job in jobs
            for pod in self.moving.get("pods", f"--selector=job-name={job}")["items"]
        ]

    def _canary(self) -> str:
        """The hash of the release that is offered; none that is nobody's."""
        status = self.moving.get("rollout", "model")["status"]
        written = self.moving.get("deployment", "model-template")["metadata"]["generation"]
        seen = status.get("workloadObservedGeneration") == str(written)
        return status["currentPodHash"] if seen else "none"

    def exec(self, release: str, manner: str) -> None:
        """Change the manner of every pod of a release."""
        pods = self.moving.get("pods", f"--selector=rollouts-pod-template-hash={release}")["items"]
        assert pods, f"no pod of {release}"
        for pod in pods:
            name = pod["metadata"]["name"]
            self.moving.kubectl("exec", name, "--", "sh", "-c", f"echo {manner} >/tmp/manner")

    def stays(self, ended: Ended, *offered: int) -> str:
        """What was printed of a version that was refused; the stable one serves alone again.

        `offered` are those before it that were under way when it came.
        """
        code, text, answers = ended
        assert code != 0, text
        tried = {str(each) for each in (self.version, *offered)}
        assert set(answers) - set(failed(answers)) <= {self.stable, *tried}
        assert set(self.moving.for_a_while(3)) == {self.stable}
        return text

    def takes_over(self, ended: Ended) -> None:
        """The version that was offered last is what serves now."""
        code, text, answers = ended
        assert code == 0, text
        self.stable = str(self.version)
        assert set(self.moving.for_a_while(3)) == {self.stable}
        assert self.stable in answers


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Version 1 of a model under canary, with a real Prometheus and the real judge."""
    folder = tmp_path_factory.mktemp("faults") / "project"
    with mover.moving(
        LAB, folder, rate=60, steps=[50], minimum=MINIMUM, watched=True, cpu="250m", replicas=1
    ) as moving:
        yield Trial(moving)


@pytest.fixture(autouse=True)
def over(trial: Trial) -> Iterator[None]:
    """A test that fails does not fail those after it."""
    yield
    trial.over()


def prometheus(trial: Trial, replicas: int) -> None:
    wanted = f'{{"spec":{{"replicas":{replicas}}}}}'
    trial.moving.kubectl(
        "patch", "prometheus", "prometheus", "--type=merge", f"--patch={wanted}",
        namespace=MONITORING,
    )  # fmt: skip
    until = time.monotonic() + 60
    pods = ("get", "pods", "--selector=app.kubernetes.io/name=prometheus", "--output=name")
    while time.monotonic() < until:
        found = trial.moving.kubectl(*pods, namespace=MONITORING).split()
        if len(found) == replicas:
            break
        time.sleep(0.5)
    if replicas:
        trial.moving.kubectl(
            "wait", "--for=condition=Ready", "--timeout=90s", *found, namespace=MONITORING
        )


def test_a_prometheus_that_restarts_delays_the_verdict_and_does_not_turn_it(trial: Trial) -> None:
    ending = trial.begin()
    trial.moving.kubectl(
        "delete", "pod", "--wait=false", "--selector=app.kubernetes.io/name=prometheus",
        namespace=MONITORING,
    )  # fmt: skip
    trial.takes_over(ending.result())
    assert failed(ending.result()[2]) == []


def test_without_prometheus_a_canary_is_put_back_at_the_deadline_and_a_rollback_still_goes(
    trial: Trial,
) -> None:
    ending = trial.begin(deadline=SHORT)
    prometheus(trial, 0)
    try:
        text = trial.stays(ending.result())
        assert "not enough evidence: Prometheus does not answer" in text
        assert failed(ending.result()[2]) == []
        code, text, answers = trial.moving.up(1, manner="good", at_once=True)
        assert code == 0, text
        assert failed(answers) == []
        assert set(trial.moving.for_a_while(3)) == {"1"}
        assert trial.moving.unchanged()
        trial.stable = "1"
    finally:
        prometheus(trial, 1)


def test_metrics_that_are_relabelled_meanwhile_hold_a_canary_until_the_deadline(
    trial: Trial,
) -> None:
    ending = trial.begin(deadline=SHORT)
    trial.exec(trial.canary, "relabelled")
    text = trial.stays(ending.result())
    assert "not enough evidence: canary: no sample of" in text


def test_one_that_is_slow_but_right_is_put_back(trial: Trial) -> None:
    text = trial.stays(trial.offer("slow"))
    assert "slow pairs" in text or "slow requests" in text


def test_one_that_runs_out_of_memory_under_load_is_put_back(trial: Trial) -> None:
    text = trial.stays(trial.offer("hungry"))
    assert "failed pairs" in text or "OOMKilled" in text


@contextmanager
def impatient(trial: Trial) -> Generator[None]:
    """Pods have twenty seconds, not three minutes, to become ready."""
    kubectl, patch = trial.moving.kubectl, '--patch={"spec":{"progressDeadlineSeconds":%d}}'
    kubectl("patch", "rollout", "model", "--type=merge", patch % 20)
    try:
        yield
    finally:
        kubectl("patch", "rollout", "model", "--type=merge", patch % 180)


def test_one_that_never_starts_is_put_back_with_its_last_words(trial: Trial) -> None:
    with impatient(trial):
        text = trial.stays(trial.offer("crash"))
    assert "there are no weights here" in text


def test_one_whose_image_cannot_be_had_is_put_back(trial: Trial) -> None:
    trial.moving.kubectl("scale", "deployment", "registry", "--replicas=0", namespace=PLATFORM)
    try:
        with impatient(trial):
            text = trial.stays(trial.offer(spare=True))
    finally:
        trial.moving.kubectl("scale", "deployment", "registry", "--replicas=1", namespace=PLATFORM)
        trial.moving.kubectl("rollout", "status", "deployment/registry", namespace=PLATFORM)
    assert "ImagePull" in text


def test_an_aborted_release_offered_again_is_refused_at_once_with_the_reason(
    trial: Trial,
) -> None:
    began = time.monotonic()
    code, text, answers = trial.moving.up(trial.version, manner="good", spare=True)
    assert code != 0
    assert "RolloutAborted" in text
    assert time.monotonic() - began < 60
    assert set(answers) == {trial.stable}


def killed_in_a_canary(trial: Trial, manner: str = "good") -> str:
    """The next version is offered, and everything of the engine killed with -9 meanwhile.

    The hash of its release.
    """
    trial.version += 1
    trial.moving.want(trial.version, manner=manner, spare=False, deadline=ENOUGH)
    delivering = trial.moving.deliver()
    try:
        return trial.judged()
    finally:
        os.killpg(delivering.pid, signal.SIGKILL)
        delivering.communicate()


def finished(trial: Trial) -> Ended:
    began = time.time()
    delivering = trial.moving.deliver()
    text, _ = delivering.communicate(timeout=300)
    return delivering.returncode, text, trial.moving.since(began)


def test_killed_in_a_canary_the_same_command_again_finishes(trial: Trial) -> None:
    killed_in_a_canary(trial)
    ended = finished(trial)
    assert "removing the lock of a pulumi that was killed" in ended[1]
    trial.takes_over(ended)
    assert failed(ended[2]) == []
    assert trial.moving.unchanged()


def test_a_version_pushed_in_a_canary_takes_its_place_and_is_judged_itself(trial: Trial) -> None:
    # Of one without metrics the judge says nothing for longer than the next needs to come.
    left, offered = killed_in_a_canary(trial, "relabelled"), trial.version
    trial.version += 1
    trial.moving.want(trial.version, manner="slow")
    text = trial.stays(finished(trial), offered)
    assert "slow pairs" in text or "slow requests" in text
    runs = trial.moving.get("analysisruns", f"--selector=rollouts-pod-template-hash={left}")
    assert [run["status"]["message"] for run in runs["items"]] == ["Run Terminated"]  # not judged


def test_a_stable_that_is_as_sick_does_not_condemn_the_canary(trial: Trial) -> None:
    trial.exec(trial.moving.get("rollout", "model")["status"]["stableRS"], "sick")
    code, text, _ = trial.offer("sick")
    # Half of the requests fail in both: what may not be said is that the canary is worse.
    assert code == 0 or "not enough evidence" in text, text
