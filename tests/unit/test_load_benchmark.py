"""The load of the benchmarks keeps its schedule, and counts from when a request was due."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load import LATE, Answer, Load, quantile, run, summary, version

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def asked(handler: Handler, rate: float, seconds: float) -> list[Answer]:
    """What a server with this handler was asked in so many seconds."""
    found: list[Answer] = []

    async def all_of_it() -> None:
        application = web.Application()
        application.router.add_post("/predict", handler)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, over.set)
        await run(f"http://127.0.0.1:{port}/predict", b"{}", rate, found.append, over)
        await runner.cleanup()

    asyncio.run(all_of_it())
    return sorted(found)


async def answers(_: web.Request) -> web.Response:
    return web.json_response({"version": "7"})


def test_requests_are_due_at_the_rate_and_say_who_answered() -> None:
    found = asked(answers, rate=100, seconds=0.5)
    assert 20 < len(found) <= 51
    assert {each.said for each in found} == {"7"}
    gaps = [after.due - before.due for before, after in pairwise(found)]
    assert all(gap == pytest.approx(0.01, abs=1e-3) for gap in gaps)


def test_a_slow_answer_holds_no_other_request_up() -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.4)
        return web.Response(text="2")

    found = asked(slow, rate=50, seconds=0.4)
    assert len(found) >= 10
    assert min(each.seconds for each in found) >= 0.4


def test_latency_counts_from_when_a_request_was_due() -> None:
    stalls = iter([True])

    async def stalling(_: web.Request) -> web.Response:
        if next(stalls, False):
            time.sleep(0.5)  # the loop of the load itself stands still
        return web.Response(text="2")

    found = asked(stalling, rate=50, seconds=0.8)
    told = summary(found)
    assert told["requests"] > 25
    assert told["late"] >= 15  # those that were due while it stood still, but for the last 0.1 s
    assert max(each.seconds for each in found[1:]) > 0.4


def test_what_fails_is_told_by_its_kind() -> None:
    async def broken(request: web.Request) -> web.Response:
        if request.headers.get("x") is None:
            raise web.HTTPServiceUnavailable
        return web.Response()

    told = summary(asked(broken, rate=50, seconds=0.1))
    assert told["failed"] == told["requests"] > 0
    assert set(told["failures"]) == {"failed 503"}


def test_an_unreachable_server_is_a_failure_of_each_request() -> None:
    found: list[Answer] = []

    async def nobody() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, over.set)
        await run("http://127.0.0.1:9/", b"", 50, found.append, over)

    asyncio.run(nobody())
    assert found
    assert all(each.failed for each in found)


def test_the_load_is_a_process_whose_answers_are_kept(tmp_path: Path) -> None:
    with Load("http://127.0.0.1:9/", b"{}", tmp_path / "answers", rate=100) as load:
        until = time.time() + 20
        while len(load.between(0)) < 20 and time.time() < until:
            time.sleep(0.05)
        half = load.between(0)[10].due
    assert [each.due for each in load.between(0, half)] == [e.due for e in load.between(0)[:10]]
    assert load.between(half)[0].due == half


def test_the_schedule_is_lost_only_beyond_its_bound() -> None:
    told = summary([Answer(0, LATE, 0.2, "1"), Answer(1, LATE + 0.001, 0.3, "1")])
    assert (told["late"], told["latest"]) == (1, pytest.approx(101))
    assert (told["p50"], told["p99"], told["most"]) == (200, 300, 300)


def test_nothing_asked_is_nothing_measured() -> None:
    told = summary([])
    assert (told["requests"], told["failed"], told["p99"], told["latest"]) == (0, 0, None, None)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_one_of_the_values_with_its_share_below(
    values: list[float], share: float
) -> None:
    found = quantile(values, share)
    assert found is not None
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values) + 1e-6


@pytest.mark.parametrize(
    ("text", "told"), [('{"version": 3}', "3"), ("12", "12"), ("<html>", "<html>"), ("[]", "[]")]
)
def test_a_version_is_read_from_our_answers_and_from_others(text: str, told: str) -> None:
    assert version(text) == told
