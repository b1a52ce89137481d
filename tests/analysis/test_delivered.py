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

from analysis import delivered
from analysis.cluster import Cluster

IMAGE, OLD = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
VERDICT = {"verdict": "roll back", "reason": "server errors 0.200 beside 0.000", "pairs": 40}


class Api:
    """An API server with one Rollout, its analyses and pods; `status` other than 200 breaks it."""

    def __init__(self) -> None:
        self.phase, self.abort, self.generation, self.observed = "Healthy", False, 3, "3"
        self.image, self.stable, self.status = IMAGE, "new", 200
        self.runs: list[dict[str, Any]] = []
        self.judges: list[dict[str, Any]] = []
        self.states: dict[str, Any] = {}
        self.tokens: set[str] = set()
        self.then: Callable[[int], None] = lambda _: None
        self.asked = 0

    def rollout(self) -> dict[str, Any]:
        return {
            "metadata": {"name": "loans", "generation": self.generation},
            "status": {
                "phase": self.phase,
                "abort": self.abort,
                "message": "RolloutAborted: it was",
                "observedGeneration": self.observed,
                "currentPodHash": "new",
                "stableRS": self.stable,
            },
        }

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers["authorization"])
        if self.status != 200:
            return web.Response(status=self.status, text="no")
        selector = request.query.get("labelSelector")
        match request.path.removeprefix("/apis/argoproj.io/v1alpha1").removeprefix("/api/v1"):
            case "/namespaces/models/rollouts/loans":
                self.asked += 1
                self.then(self.asked)
                return web.json_response(self.rollout())
            case "/namespaces/models/analysisruns" if selector == f"{delivered.HASH}=new":
                return web.json_response({"items": self.runs})
            case "/namespaces/models/pods" if selector == "job-name=judge-1":
                return web.json_response({"items": self.judges})
            case "/namespaces/models/pods" if selector == f"{delivered.HASH}=new":
                spec = {"containers": [{"image": f"registry.test/loans@{self.image}"}]}
                return web.json_response({"items": [pod(self.states, spec)]})
        return web.Response(status=404)


def pod(states: dict[str, Any], spec: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"spec": spec or {}, "status": {"containerStatuses": [states]}}


def ended(message: str, code: int = 1) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "message": message}}}


def run_(created: str = "2026-01-01T00:00:00Z", job: str = "judge-1") -> dict[str, Any]:
    measurement = {"phase": "Failed", "metadata": {"job-name": job}}
    return {
        "metadata": {"creationTimestamp": created, "ownerReferences": [{"name": "loans"}]},
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

    async def run(deadline: float) -> dict[str, Any]:
        application = web.Application()
        application.router.add_get("/{path:.*}", api.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as session:
                cluster = Cluster(session=session, url=url, namespace="models", token=token)
                return await delivered.wait(cluster, "loans", IMAGE, deadline)
        finally:
            await runner.cleanup()

    return lambda deadline=10: asyncio.run(run(deadline))


def test_a_healthy_rollout_of_the_image_is_delivered(api: Api, wait: Callable[..., dict]) -> None:
    assert wait() == {"delivered": True, "reason": "loans is healthy", "image": IMAGE}
    assert api.tokens == {"Bearer secret"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("image", OLD), ("observed", "2"), ("stable", "old"), ("phase", "Progressing")],
)
def test_what_is_not_yet_so_is_waited_for(
    api: Api, wait: Callable[..., dict], field: str, value: str
) -> None:
    right = getattr(api, field)
    setattr(api, field, value)
    api.then = lambda asked: setattr(api, field, right) if asked == 3 else None
    assert wait()["delivered"]
    assert api.asked >= 3


def test_an_aborted_rollout_of_another_image_is_no_failure_of_ours(
    api: Api, wait: Callable[..., dict]
) -> None:
    api.image, api.abort, api.phase = OLD, True, "Degraded"
    found = wait(0.1)
    assert not found["delivered"]
    assert found["reason"].startswith(f"not done in 0.1 s: no pod has {IMAGE} yet")


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
