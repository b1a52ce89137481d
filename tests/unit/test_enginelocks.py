"""Only locks that nobody can hold any more are removed."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lab import enginelocks


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / ".pulumi/locks/organization/ferry/dev"
    folder.mkdir(parents=True)
    return folder


def write(folder: Path, pid: int, host: str) -> Path:
    file = folder / f"{pid}.json"
    file.write_text(json.dumps({"pid": pid, "username": "u", "hostname": host, "timestamp": "t"}))
    return file


def ended() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_the_lock_of_a_killed_engine_is_removed(locks: Path, tmp_path: Path) -> None:
    pid = ended()
    file = write(locks, pid, socket.gethostname())
    assert enginelocks.release(tmp_path) == [pid]
    assert not file.exists()


def test_a_pid_that_is_another_program_by_now_holds_nothing(locks: Path, tmp_path: Path) -> None:
    file = write(locks, os.getpid(), socket.gethostname())
    assert enginelocks.release(tmp_path) == [os.getpid()]
    assert not file.exists()


def test_the_lock_of_a_running_engine_stays(locks: Path, tmp_path: Path) -> None:
    engine = tmp_path / "pulumi"
    engine.symlink_to("/bin/sleep")
    with subprocess.Popen([engine, "60"]) as process:
        try:
            # The kernel names a process a moment after Popen lets go of it.
            while Path(f"/proc/{process.pid}/comm").read_text() != "pulumi\n":
                time.sleep(0.01)
            file = write(locks, process.pid, socket.gethostname())
            assert enginelocks.release(tmp_path) == []
            assert file.exists()
        finally:
            process.kill()


def test_a_lock_from_another_host_stays(locks: Path, tmp_path: Path) -> None:
    file = write(locks, ended(), "elsewhere")
    assert enginelocks.release(tmp_path) == []
    assert file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_lock_that_can_not_be_read_stays(locks: Path, tmp_path: Path, text: str) -> None:
    file = locks / "broken.json"
    file.write_text(text)
    assert enginelocks.release(tmp_path) == []
    assert file.read_text() == text
