"""Who waits for a delivery hears the judge, or the pods, and never takes silence for success."""

import asyncio
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from analysis import delivered, stuck
from analysis.cluster import Cluster

IMAGE, OLD = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
REVISION = "rollout.argoproj.io/revision"
VERDICT = {"verdict": "roll back", "reason": "server errors 0.200 beside 0.000", "pairs": 40}


class Api:
    """An API server with one Rollout, its analyses and pods; `status` other than 200 breaks it."""

    def __init__(self) -> None:
        self.phase, self.abort = "Healthy", False
        self.generation, self.observed, self.workload = 3, "3", "5"
        self.written, self.image, self.stable, self.status = IMAGE, IMAGE, "new", 200
        self.runs: list[dict[str, Any]] = []
        self.judges: list[dict[str, Any]] = []
        self.states: dict[str, Any] = {}
        self.tokens: set[str] = set()
        self.patches: list[Any] = []
        self.full, self.ends, self.ready = False, True, 2
        self.then: Callable[[int], None] = lambda _: None
        self.asked = 0

    def rollout(self) -> dict[str, Any]:
        return {
            "metadata": {
                "name": "loans",
                "generation": self.generation,
                "annotations": {REVISION: "4"},
            },
            "spec": {
                "workloadRef": {"name": "loans-template"},
                "progressDeadlineSeconds": 0,
                "progressDeadlineAbort": self.ends,
            },
            "status": {
                "phase": self.phase,
                "abort": self.abort,
                "promoteFull": self.full,
                "message": "RolloutAborted: it was",
                "observedGeneration": self.observed,
                "workloadObservedGeneration": self.workload,
                "currentPodHash": "new",
                "stableRS": self.stable,
            },
        }

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers["authorization"])
        if self.status != 200:
            return web.Response(status=self.status, text="no")
        selector = request.query.get("labelSelector")
        of_release = selector == f"{delivered.HASH}=new"
        match request.path.partition("/namespaces/models/"):
            case _, _, "rollouts/loans/status" if request.method == "PATCH":
                self.patches.append((request.content_type, await request.json()))
                self.full = True
                self.abort = bool(self.patches[-1][1]["status"].get("abort"))
                return web.json_response(self.rollout())
            case "/apis/argoproj.io/v1alpha1", _, "rollouts/loans":
                self.asked += 1
                self.then(self.asked)
                return web.json_response(self.rollout())
            case "/apis/apps/v1", _, "deployments/loans-template":
                written = {"metadata": {"generation": 5}, **template(self.written)}
                return web.json_response(written)
            case "/apis/apps/v1", _, "replicasets" if of_release:
                pods = {"replicas": 2, **template(self.image)["spec"]}
                found = {"spec": pods, "status": {"availableReplicas": self.ready}}
                return web.json_response({"items": [found]})
            case "/apis/argoproj.io/v1alpha1", _, "analysisruns" if of_release:
                return web.json_response({"items": self.runs})
            case "/api/v1", _, "pods" if selector == "job-name=judge-1":
                return web.json_response({"items": self.judges})
            case "/api/v1", _, "pods" if of_release:
                return web.json_response({"items": [pod(self.states)] if self.states else []})
        return web.Response(status=404)


def template(image: str) -> dict[str, Any]:
    containers = [{"image": f"registry.test/loans@{image}"}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def pod(states: dict[str, Any]) -> dict[str, Any]:
    return {"status": {"containerStatuses": [states]}}


def ended(message: str, code: int = 1) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "message": message}}}


def run_(created: str = "2026-01-01T00:00:00Z", job: str = "judge-1") -> dict[str, Any]:
    measurement = {"phase": "Failed", "metadata": {"job-name": job}}
    return {
        "metadata": {
            "creationTimestamp": created,
            "annotations": {REVISION: "4"},
            "ownerReferences": [{"name": "loans"}],
        },
        "status": {"phase": "Failed", "metricResults": [{"measurements": [measurement]}]},
    }


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def wait(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """What `delivered.wait` says of the API server's Rollout."""
    monkeypatch.setattr(delivered, "LOOK_SECONDS", 0.01)
    token = tmp_path / "token"
    token.write_text("secret\n")

    async def run(deadline: float, **how: bool) -> dict[str, Any]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", api.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as session:
                cluster = Cluster(session=session, url=url, namespace="models", token=token)
                return await delivered.wait(cluster, "loans", IMAGE, deadline, **how)
        finally:
            await runner.cleanup()

    return lambda deadline=10, **how: asyncio.run(run(deadline, **how))


def test_a_healthy_rollout_of_the_image_is_delivered(api: Api, wait: Callable[..., dict]) -> None:
    assert wait() == {"delivered": True, "reason": "loans is healthy", "image": IMAGE}
    assert api.tokens == {"Bearer secret"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", OLD),
        ("observed", "2"),
        ("workload", "4"),
        ("stable", "old"),
        ("phase", "Progressing"),
    ],
)
def test_what_is_not_yet_so_is_waited_for(
    api: Api, wait: Callable[..., dict], field: str, value: str
) -> None:
    right = getattr(api, field)
    setattr(api, field, value)
    api.then = lambda asked: setattr(api, field, right) if asked == 3 else None
    assert wait()["delivered"]
    assert api.asked >= 3


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("image", OLD, f"no ReplicaSet has {IMAGE} yet"),
        ("observed", "2", "the controller has not seen the Rollout's last change"),
        ("workload", "4", "the controller has not seen the Deployment's last change"),
    ],
)
def test_what_became_of_the_release_before_is_no_failure_of_ours(
    api: Api, wait: Callable[..., dict], field: str, value: str, said: str
) -> None:
    api.abort, api.phase, api.runs = True, "Degraded", [run_()]
    api.judges, api.states = [pod(ended(json.dumps(VERDICT)))], ended("Unfit: signature")
    setattr(api, field, value)
    found = wait(0.1)
    assert not found["delivered"]
    assert found["reason"].startswith(f"not done in 0.1 s: {said}; Degraded")
    assert "Unfit" not in found["reason"]
    assert "verdict" not in found


def test_a_release_that_stays_aborted_is_refused_at_once_though_its_pods_are_gone(
    api: Api, wait: Callable[..., dict]
) -> None:
    api.abort, api.phase, api.states, api.runs = True, "Degraded", {}, [run_()]
    api.judges = [pod(ended(json.dumps(VERDICT)))]
    assert wait(60)["reason"] == VERDICT["reason"]
    assert api.asked == 1


def test_what_an_earlier_try_was_told_is_not_quoted(api: Api, wait: Callable[..., dict]) -> None:
    earlier = run_()
    earlier["metadata"]["annotations"][REVISION] = "2"
    api.abort, api.runs, api.judges = True, [earlier], [pod(ended(json.dumps(VERDICT)))]
    found = wait()
    assert found["reason"] == "Healthy, RolloutAborted: it was"
    assert "verdict" not in found


def test_a_release_whose_place_another_took_is_waited_for_no_more(
    api: Api, wait: Callable[..., dict]
) -> None:
    api.written = OLD
    found = wait(60)
    assert found["reason"] == f"another release took the place of {IMAGE}: {OLD}"
    assert not found["delivered"]


def test_an_abort_has_the_reason_of_the_newest_verdict(api: Api, wait: Callable[..., dict]) -> None:
    api.abort, api.phase = True, "Degraded"
    api.runs = [run_("2026-01-01T00:00:00Z", "other"), run_("2026-01-02T00:00:00Z")]
    api.judges = [pod(ended(json.dumps(VERDICT)))]
    found = wait()
    assert not found["delivered"]
    assert found["reason"] == VERDICT["reason"]
    assert found["verdict"] == VERDICT


def test_a_judge_that_only_logged_is_understood(api: Api, wait: Callable[..., dict]) -> None:
    api.abort, api.runs = True, [run_()]
    api.judges = [pod(ended(f'{{"event":"look"}}\n{json.dumps(VERDICT)}'))]
    assert wait()["reason"] == VERDICT["reason"]


def test_a_judge_that_broke_is_quoted(api: Api, wait: Callable[..., dict]) -> None:
    api.abort, api.runs = True, [run_()]
    api.judges = [pod(ended("Traceback\nMemoryError"))]
    assert wait()["reason"] == "the judge ended without a verdict: Traceback\nMemoryError"


def test_an_analysis_of_another_rollout_is_not_quoted(api: Api, wait: Callable[..., dict]) -> None:
    other = deepcopy(run_())
    other["metadata"]["ownerReferences"] = [{"name": "cards"}]
    api.abort, api.runs, api.judges = True, [other], [pod(ended(json.dumps(VERDICT)))]
    assert "verdict" not in wait()


def test_only_what_goes_back_at_once_ends_the_steps_and_does_so_once(
    api: Api, wait: Callable[..., dict]
) -> None:
    api.phase, api.stable = "Progressing", "old"
    wait(0.1)
    assert api.patches == []
    wait(0.1, at_once=True)
    assert api.patches == [("application/merge-patch+json", {"status": {"promoteFull": True}})]


def test_a_release_whose_pods_do_not_get_ready_is_aborted_where_the_controller_forgets_it(
    api: Api, wait: Callable[..., dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "LATE_SECONDS", 0.2)
    api.phase, api.stable, api.ready = "Progressing", "old", 1
    api.states = {"lastState": {"terminated": {"exitCode": 1, "message": "Unfit: signature"}}}
    found = wait()
    assert api.patches == [("application/merge-patch+json", {"status": {"abort": True}})]
    assert not found["delivered"]
    assert found["reason"].endswith("Unfit: signature")


@pytest.mark.parametrize("kept", [{"ready": 2}, {"ends": False}, {"image": OLD}])
def test_a_release_is_not_aborted_whose_pods_are_ready_or_that_is_none_of_ours(
    api: Api, wait: Callable[..., dict], monkeypatch: pytest.MonkeyPatch, kept: dict[str, Any]
) -> None:
    monkeypatch.setattr(stuck, "LATE_SECONDS", 0)
    api.phase, api.stable, api.ready = "Progressing", "old", 0
    vars(api).update(kept)
    wait(0.1)
    assert api.patches == []


def test_pods_that_come_one_by_one_have_the_whole_time_each(
    api: Api, wait: Callable[..., dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "LATE_SECONDS", 0.3)
    api.phase, api.stable = "Progressing", "old"

    def then(asked: int) -> None:
        api.ready = asked % 2

    api.then = then
    wait(0.6)
    assert api.patches == []


@pytest.mark.parametrize(("field", "value"), [("workload", "4"), ("observed", "2"), ("image", OLD)])
def test_the_steps_of_another_release_are_not_ended(
    api: Api, wait: Callable[..., dict], field: str, value: str
) -> None:
    api.phase, api.stable = "Progressing", "old"
    setattr(api, field, value)
    wait(0.1, at_once=True)
    assert api.patches == []


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 1, "message": "Unfit: signature"}},
            },
            "Unfit: signature",
        ),
        ({"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}, "OOMKilled"),
        (
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}},
            "ErrImagePull: no such image",
        ),
    ],
)
def test_without_a_verdict_the_pods_say_why(
    api: Api, wait: Callable[..., dict], states: dict[str, Any], said: str
) -> None:
    api.phase, api.states = "Degraded", states
    found = wait()
    assert not found["delivered"]
    assert found["reason"].startswith("Degraded, RolloutAborted")
    assert found["reason"].endswith(said)


def test_one_that_is_late_says_what_it_waited_for(api: Api, wait: Callable[..., dict]) -> None:
    api.phase = "Progressing"
    api.states = {"lastState": {"terminated": {"exitCode": 1, "message": "Unfit: digest"}}}
    found = wait(0.1)
    assert not found["delivered"]
    assert found["reason"].startswith("not done in 0.1 s: Progressing")
    assert found["reason"].endswith("Unfit: digest")


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_api_server_that_refuses_is_no_success(
    api: Api, wait: Callable[..., dict], status: int
) -> None:
    api.status = status
    found = wait(0.1)
    assert not found["delivered"]
    assert f"the API server answers {status}" in found["reason"]


def test_an_api_server_that_comes_back_is_asked_again(
    api: Api, wait: Callable[..., dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.status = 503
    tries = 0

    async def sleep(_: float) -> None:
        nonlocal tries
        tries += 1
        api.status = 503 if tries < 3 else 200

    monkeypatch.setattr(delivered.asyncio, "sleep", sleep)
    assert wait()["delivered"]
