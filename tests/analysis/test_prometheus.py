"""Counts from Prometheus: what restarts goes on, what is late or broken is missing."""

import asyncio
import math
import time

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from analysis import prometheus
from analysis.prometheus import HASH, NoData, Series, Window

STABLE, CANARY = "aaa", "bbb"
SCRAPE = 5.0


def series(
    name: str, *values: float, release: str = CANARY, start: float = 0, **labels: str
) -> Series:
    """A series scraped every five seconds."""
    named = {"__name__": name, HASH: release, "pod": "one", **labels}
    samples = tuple((start + place * SCRAPE, value) for place, value in enumerate(values))
    return Series(labels=frozenset(named.items()), samples=samples)


def scrape(value: float, at: float, release: str, **errors: float) -> list[Series]:
    """All series of one pod with `value` predictions of 2 ms and a probability of 0.3."""
    latency, score, error = prometheus.SERIES
    return [
        series(latency, value, release=release, start=at, le="0.0025"),
        series(latency, value, release=release, start=at, le="+Inf"),
        series(score, value, release=release, start=at, le="0.3"),
        series(score, value, release=release, start=at, le="+Inf"),
        *(
            series(error, errors.get(reason, 0), release=release, start=at, reason=reason)
            for reason in ("internal", "range", "route", "shed", "novel")
        ),
    ]


def both(value: float, at: float, **errors: float) -> list[Series]:
    return scrape(value, at, STABLE) + scrape(value, at, CANARY, **errors)


def test_a_window_counts_from_its_first_look() -> None:
    window = Window(STABLE, CANARY)
    window.add(both(1000, 0, internal=50))
    window.add(both(1100, 5, internal=53, range=2, route=9, novel=1))
    canary = window.counts(CANARY)
    assert canary is not None
    assert canary.sound
    assert canary.latency == {0.0025: 100, math.inf: 100}
    assert canary.scores == {0.3: 100, math.inf: 100}
    # A reason that is not known here counts as one of the rows; a wrong route is the client's.
    assert (canary.server_errors, canary.schema_errors, canary.requests) == (3, 3, 106)


def test_the_same_sample_counts_once() -> None:
    window = Window(STABLE, CANARY)
    for _ in range(3):
        window.add(both(1000, 0))
        window.add(both(1010, 5))
    counts = window.counts(CANARY)
    assert counts is not None
    assert counts.requests == 10


@pytest.mark.parametrize("off", [-3600.0, 3600.0])
def test_a_prometheus_whose_clock_is_an_hour_off_counts_the_same(off: float) -> None:
    now = time.time()
    window = Window(STABLE, CANARY)
    for value, seconds in ((100, 0), (140, 5), (150, 10)):
        window.add(both(value, now + off + seconds))
    counts = window.counts(CANARY)
    assert counts is not None
    assert counts.requests == 50


def test_a_clock_that_jumps_back_an_hour_counts_nothing_twice() -> None:
    window = Window(STABLE, CANARY)
    latency = prometheus.SERIES[0]
    looks = ((3600, 100, 140), (10, 150), (10, 150, 160), (10, 150, 160), (3610, 170))
    for start, *values in looks:
        window.add([series(latency, *values, start=start, le="+Inf")])
    assert window._sums[(CANARY, latency, "+Inf")] == 170 - 140


@given(st.lists(st.lists(st.integers(0, 50), max_size=6), min_size=1, max_size=6))
def test_nothing_is_lost_when_a_process_begins_again(lives: list[list[int]]) -> None:
    window, at = Window(STABLE, CANARY), 0.0
    for life in lives:
        total = 0
        for grown in (0, *life):
            total += grown
            window.add(both(total, at))
            at += SCRAPE
    counts = window.counts(CANARY)
    assert counts is not None
    assert counts.requests == sum(map(sum, lives))


def test_a_restart_within_one_answer_is_seen() -> None:
    window = Window(STABLE, CANARY)
    window.add(both(100, 0))
    restarted = series(prometheus.SERIES[0], 100, 140, 3, 8, le="+Inf")
    window.add([*both(100, 0), restarted])
    assert window._sums[(CANARY, prometheus.SERIES[0], "+Inf")] == 48


def test_a_release_without_fresh_samples_is_missing_and_comes_back() -> None:
    window = Window(STABLE, CANARY)
    window.add(both(100, 0))
    window.add(scrape(150, 5, STABLE))
    assert window.counts(CANARY) is None
    assert window.counts(STABLE) is not None
    assert window.missing.startswith("canary: no sample of prediction_latency_seconds_bucket")
    window.add(both(200, 10))
    counts = window.counts(CANARY)
    assert counts is not None
    assert counts.requests == 100


def test_series_under_new_labels_count_from_where_they_are_first_seen() -> None:
    window = Window(STABLE, CANARY)
    window.add(both(100, 0))
    renamed = series(prometheus.SERIES[0], 5000, start=5, le="+Inf", pod="two")
    window.add([*both(110, 5), renamed])
    counts = window.counts(CANARY)
    assert counts is not None
    assert counts.requests == 10


@pytest.mark.parametrize("missing", prometheus.SERIES)
def test_a_kind_of_series_that_is_not_there_is_missing(missing: str) -> None:
    window = Window(STABLE, CANARY)
    window.add([each for each in both(1, 0) if each.label("__name__") != missing])
    assert missing in window.missing


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_sample_that_is_no_count_is_no_data(value: float) -> None:
    window = Window(STABLE, CANARY)
    window.add(both(1, 0))
    window.add(scrape(2, 5, STABLE) + scrape(value, 5, CANARY))
    assert window.counts(CANARY) is None
    assert "no finite number" in window.missing


def test_no_answer_is_missing_for_both() -> None:
    window = Window(STABLE, CANARY)
    window.add(both(1, 0))
    window.lost("Prometheus does not answer")
    assert window.counts(STABLE) is None
    assert window.counts(CANARY) is None
    assert window.missing == "Prometheus does not answer"


def test_the_query_asks_for_all_series_of_both_releases_and_what_was_scraped_lately() -> None:
    assert prometheus.query("loans", (STABLE, CANARY)) == (
        '{__name__=~"prediction_latency_seconds_bucket|prediction_score_bucket|'
        'inference_error_total",model="loans",rollouts_pod_template_hash=~"aaa|bbb"}[15s]'
    )


def _ask(answer: web.Response | None) -> list[Series]:
    """What `read` makes of an answer; none means that the connection is reset."""

    async def handle(request: web.Request) -> web.Response:
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer

    async def run() -> list[Series]:
        application = web.Application()
        application.router.add_post("/api/v1/query", handle)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with aiohttp.ClientSession() as session:
                return await prometheus.read(
                    session, f"http://127.0.0.1:{port}/", "m", (STABLE, CANARY)
                )
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def _result(*values: list[object]) -> dict[str, object]:
    result = [{"metric": {"__name__": "x", HASH: CANARY}, "values": list(values)}]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def test_an_answer_is_read() -> None:
    (found,) = _ask(web.json_response(_result([1.5, "3"], [6.5, "NaN"])))
    assert found.samples[0] == (1.5, 3.0)
    assert math.isnan(found.samples[1][1])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        web.Response(text="<html>502</html>", content_type="text/html"),
        web.Response(status=503, text="Service Unavailable"),
        web.Response(status=302, headers={"location": "/login"}),
        web.json_response({"status": "error", "errorType": "bad_data"}),
        web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}}),
        web.json_response(_result([1.5, "3"]), status=503),
        web.json_response([]),
        web.json_response(None),
        web.json_response(_result(["x", "y"])),
        web.json_response(_result([1])),
        web.Response(text="[" * 100_000),
        web.Response(body=b"\xff\xfe"),
    ],
)
def test_whatever_is_no_answer_is_no_data(answer: web.Response | None) -> None:
    with pytest.raises(NoData):
        _ask(answer)


def test_no_prometheus_is_no_data() -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            await prometheus.read(session, "http://127.0.0.1:9", "m", (STABLE, CANARY))

    with pytest.raises(NoData):
        asyncio.run(run())
