"""How a stand-in behaves as a process: it says its port, and never outlives who started it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import paths

_COMMAND = [sys.executable, "-m", "lab.standins.kubernetes"]


@pytest.fixture
def plugin() -> Iterator["subprocess.Popen[str]"]:
    process = _start(_COMMAND)
    yield process
    process.kill()
    process.communicate()


def test_the_first_line_is_the_port(plugin: "subprocess.Popen[str]") -> None:
    assert plugin.stdout is not None
    assert 1024 < int(plugin.stdout.readline()) < 65536


def test_an_interrupt_ends_it_quietly(plugin: "subprocess.Popen[str]") -> None:
    assert plugin.stdout is not None
    plugin.stdout.readline()
    plugin.send_signal(signal.SIGINT)
    assert plugin.communicate(timeout=60) == ("", "")


def test_it_ends_when_the_engine_is_killed() -> None:
    engine = _start(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)\n"
            "print(child.stdout.readline() and child.pid, flush=True)\n"
            "time.sleep(99)",
            *_COMMAND,
        ]
    )
    assert engine.stdout is not None
    child = int(engine.stdout.readline())
    engine.kill()
    engine.communicate()
    _until(lambda: not _alive(child))


def _start(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=paths.repository(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    # One that nobody has waited for yet has ended all the same.
    return state != "Z"


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.1)
