"""Processes are known by pid and start time, and ended by that alone."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.cluster import processes
from lab.cluster.processes import Part, Processes, identify, parse_record
from lab.errors import LabError

STAT = "42 (a (odd) name) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 7777 8 9\n"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path, "ferry-none")
    yield found
    found.end_marked(0)


def _eventually(check: object) -> bool:
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        if callable(check) and check():
            return True
        time.sleep(0.02)
    return False


def _sleeper(name: str = "sleeper") -> Part:
    return Part(name, ["sleep", "60"], inside=False)


def test_a_record_is_read_whatever_the_process_is_called() -> None:
    found = parse_record(f"{STAT}boot\n")
    assert found == processes.Identity(42, 7777, "boot")


@pytest.mark.parametrize("text", ["", "42", STAT[:30], "x (y) S 1\nboot\n", STAT.strip()])
def test_a_record_that_was_cut_short_is_no_record(text: str) -> None:
    assert parse_record(text) is None


def test_a_process_is_itself_and_a_dead_one_is_nobody() -> None:
    assert identify(os.getpid()) == identify(os.getpid())
    child = subprocess.Popen(["true"])
    # Not waited for yet: a zombie counts as dead.
    assert _eventually(lambda: identify(child.pid) is None)
    child.wait()
    assert identify(child.pid) is None


def test_a_part_is_started_once_and_stopped(parts: Processes) -> None:
    parts.start(_sleeper())
    assert _eventually(lambda: parts.alive("sleeper"))
    pid = parts.alive("sleeper")
    parts.start(_sleeper())
    assert parts.alive("sleeper") == pid
    parts.stop(["sleeper"])
    assert parts.alive("sleeper") is None
    assert list(parts.marked()) == []


def test_a_part_lives_in_a_session_of_its_own(parts: Processes) -> None:
    parts.start(_sleeper())
    assert _eventually(lambda: parts.alive("sleeper"))
    pid = parts.alive("sleeper")
    assert pid is not None
    assert os.getsid(pid) == pid


def test_a_process_that_took_over_the_pid_is_left_alone(parts: Processes, tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "run").mkdir()
        record = tmp_path / "run" / "sleeper.pid"
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        own = identify(stranger.pid)
        assert own is not None
        stat = Path(f"/proc/{stranger.pid}/stat").read_text()
        record.write_text(stat.replace(f" {own.started} ", f" {own.started - 1} ") + boot)
        assert parts.alive("sleeper") is None
        parts.stop(["sleeper"])
        processes.end([replace(own, started=own.started - 1)], 0)
        processes.end([replace(own, boot="another")], 0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_part_whose_record_was_lost_ends_before_it_is_started_again(
    parts: Processes, tmp_path: Path
) -> None:
    parts.start(_sleeper())
    parts.start(_sleeper("other"))
    assert _eventually(lambda: parts.alive("sleeper") and parts.alive("other"))
    lost, other = parts.alive("sleeper"), parts.alive("other")
    assert lost is not None
    (tmp_path / "run" / "sleeper.pid").unlink()
    parts.start(_sleeper())
    assert identify(lost) is None
    assert parts.alive("other") == other


def test_what_does_not_heed_sigterm_is_killed(parts: Processes) -> None:
    parts.start(Part("deaf", ["sh", "-c", "trap '' TERM; echo up; sleep 60"], inside=False))
    assert _eventually(lambda: parts.log("deaf").read_text() == "up\n")
    pid = parts.alive("deaf")
    assert pid is not None
    parts.stop(["deaf"], seconds=0.2)
    assert identify(pid) is None


def test_children_of_a_part_are_found_when_it_is_gone(parts: Processes) -> None:
    command = ["sh", "-c", "sleep 61 & echo $!; wait"]
    parts.start(Part("parent", command, inside=False))
    assert _eventually(lambda: parts.log("parent").read_text().strip())
    child = int(parts.log("parent").read_text())
    pid = parts.alive("parent")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert _eventually(lambda: not parts.alive("parent"))
    assert list(parts.marked()) == [child]
    parts.end_marked(1)
    assert identify(child) is None


def test_a_parts_children_live_on_when_it_is_started_again(parts: Processes) -> None:
    # As containers do when their runtime is killed: the shims keep them.
    command = ["bash", "-c", "sleep 61 & echo $!; wait"]
    parts.start(Part("runtime", command, inside=False))
    assert _eventually(lambda: parts.log("runtime").read_text().strip())
    child = identify(int(parts.log("runtime").read_text()))
    pid = parts.alive("runtime")
    assert child is not None
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert _eventually(lambda: not parts.alive("runtime"))
    parts.start(Part("runtime", command, inside=False))
    assert identify(child.pid) == child


def test_another_labs_processes_are_not_ours(parts: Processes, tmp_path: Path) -> None:
    other = Processes(tmp_path / "x", "ferry-x")
    (tmp_path / "x").mkdir()
    other.start(_sleeper())
    assert _eventually(lambda: other.alive("sleeper"))
    parts.end_marked(0)
    assert other.alive("sleeper")
    other.end_marked(0)


def test_waiting_for_a_part_that_dies_shows_its_log_and_the_remedy(parts: Processes) -> None:
    script = "echo listen tcp 1.2.3.4:80: bind: address already in use; exit 1"
    parts.start(Part("web", ["sh", "-c", script], inside=False))
    with pytest.raises(LabError) as caught:
        parts.wait("web", "the web", lambda: False, 10)
    assert "web ended at its start" in str(caught.value)
    assert "`python -m lab down`" in str(caught.value)
    assert str(parts.log("web")) in str(caught.value)
    assert "1.2.3.4:80" in str(caught.value)


def test_waiting_too_long_says_for_what(parts: Processes) -> None:
    parts.start(_sleeper())
    with pytest.raises(LabError, match=r"the answer took over 1 s"):
        parts.wait("sleeper", "the answer", lambda: False, 1.2)


def test_a_start_keeps_the_log_of_the_one_before(parts: Processes) -> None:
    for word in ("first", "second"):
        parts.start(Part("talker", ["echo", word], inside=False))
        assert _eventually(lambda word=word: parts.log("talker").read_text() == f"{word}\n")
        assert _eventually(lambda: not parts.alive("talker"))
    assert parts.log("talker").with_suffix(".previous.log").read_text() == "first\n"


def test_listening_sockets_are_seen_from_outside(parts: Processes) -> None:
    script = "import socket,time; s=socket.create_server(('127.0.0.1',0)); "
    script += "print(s.getsockname()[1], flush=True); time.sleep(60)"
    parts.start(Part("server", ["python3", "-c", script], inside=False))
    assert _eventually(lambda: parts.log("server").read_text().strip())
    port = int(parts.log("server").read_text())
    assert parts.listens("server", port)
    assert not parts.listens("server", 1)
    assert not parts.listens("absent", port)


def test_somebody_elses_socket_is_not_the_parts(parts: Processes) -> None:
    parts.start(_sleeper())
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert not parts.listens("sleeper", other.getsockname()[1])
