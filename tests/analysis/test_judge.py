"""The judge as the process that it is, between two servers and a Prometheus."""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from analysis.judge import main
from tests.analysis.world import CANARY, STABLE, Fault, Model, World

ROOT = Path(__file__).parents[2]


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def judging(world: World, message: Path, deadline: int) -> Generator[subprocess.Popen[str]]:
    """The judge of the world's canary; killed when left."""
    port = _free()
    urls = {name: f"http://127.0.0.1:{number}" for name, number in world.ports.items()}
    command = [
        sys.executable, "-m", "analysis.judge", "--model", "loans",
        "--stable-hash", STABLE, "--canary-hash", CANARY, "--prometheus", urls["prometheus"],
        "--stable-url", urls[STABLE], "--canary-url", urls[CANARY], "--minimum-requests", "300",
        "--deadline", str(deadline), "--port", str(port), "--termination-log", str(message),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        world.judge = port
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def judge(
    message: Path,
    fault: Fault | None = None,
    *,
    deadline: int = 120,
    rate: float = 300,
    prometheus: Callable[[web.Request], Any] | None = None,
) -> tuple[int, dict[str, Any], World]:
    """Exit code and last words on a canary with a fault."""
    with World(Model(fault), rate) as world:
        if prometheus is not None:
            world.prometheus = prometheus
        with judging(world, message, deadline) as process:
            out, _ = process.communicate(timeout=deadline + 30)
    words = json.loads(message.read_bytes())
    assert json.loads(out.splitlines()[-1]) == words
    assert all(json.loads(line) for line in out.splitlines())
    return process.returncode, words, world


@pytest.fixture
def message(tmp_path: Path) -> Path:
    return tmp_path / "termination-log"


def test_a_good_canary_is_promoted(message: Path) -> None:
    code, words, world = judge(message)
    assert (code, words["verdict"]) == (0, "promote")
    assert words["pairs"] > 100
    assert {each["state"] for each in words["measures"]} == {"passed"}
    mirrored = {name for name in world.models[CANARY].ids if name.startswith("mirror-")}
    assert mirrored
    assert mirrored == {n for n in world.models[STABLE].ids if n.startswith("mirror-")}


def test_a_canary_that_only_fails_is_rolled_back_long_before_the_deadline(message: Path) -> None:
    code, words, _ = judge(message, lambda _: None, deadline=30)
    assert (code, words["verdict"]) == (1, "roll back")
    assert "failed pairs 1.000 beside 0.000" in words["reason"]
    assert "not enough evidence" not in words["reason"]


@pytest.mark.parametrize(
    "fault", [lambda _: 0.3, lambda _: random.betavariate(2, 5)], ids=["constant", "shuffled"]
)
def test_a_canary_that_answers_fast_but_wrongly_is_rolled_back(fault: Fault, message: Path) -> None:
    code, words, _ = judge(message, fault)
    assert (code, words["verdict"]) == (1, "roll back")
    assert "answers flipped" in words["reason"]


def test_without_traffic_the_deadline_rolls_back_and_says_so(message: Path) -> None:
    code, words, _ = judge(message, deadline=4, rate=0)
    assert (code, words["verdict"]) == (1, "roll back")
    assert words["reason"].startswith("not enough evidence: 0 of 300 requests of the canary")


async def _html(_: web.Request) -> web.Response:
    return web.Response(text="<html>Bad gateway</html>", content_type="text/html")


async def _hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(8)
    return web.Response()


@pytest.mark.parametrize("answer", [_html, _hangs])
def test_without_prometheus_nothing_is_promoted(
    answer: Callable[[web.Request], Any], message: Path
) -> None:
    code, words, _ = judge(message, deadline=5, prometheus=answer)
    assert (code, words["verdict"]) == (1, "roll back")
    assert words["reason"].startswith("not enough evidence: Prometheus ")
    assert words["pairs"] > 0


def test_one_that_is_told_to_stop_promotes_nothing(message: Path) -> None:
    with World(Model(), rate=0) as world, judging(world, message, 60) as process:
        assert process.stdout is not None
        assert '"look"' in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 1
    assert json.loads(message.read_bytes())["reason"] == "stopped"


def test_a_canary_that_is_the_stable_is_no_canary(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["model", "stable-hash", "canary-hash", "prometheus", "stable-url", "canary-url"]
    given = [word for option in options for word in (f"--{option}", "x")]
    assert main([*given, "--minimum-requests", "1", "--deadline", "1"]) == 2
    assert "nothing to compare" in capsys.readouterr().err
