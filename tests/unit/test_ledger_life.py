"""Kills, full disks, damage and several writers at once cost a ledger no record and no fork."""

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from promotion.record import Record
from promotion.refusals import GateRefused
from tests.unit.test_ledger import NOON, a_ledger, a_moved, add

ROOT = Path(__file__).parents[2]


def test_nothing_of_a_torn_line_is_left_behind_a_shorter_one(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    add(ledger, reason="long" * 1000)
    ledger.path.write_bytes(ledger.path.read_bytes()[:3000])
    made = add(ledger)
    assert ledger.path.read_bytes() == made.line()


def test_a_full_disk_leaves_the_ledger_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = a_ledger(tmp_path)
    add(ledger)
    before = ledger.path.read_bytes()
    written = os.pwrite

    def half(handle: int, content: bytes, place: int) -> int:
        if place > len(before):
            raise OSError("no space left")
        return written(handle, content[:10], place)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="no space left"):
        add(ledger)
    assert ledger.path.read_bytes() == before


def test_a_record_is_on_disk_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").resolve().name)
    )
    add(a_ledger(tmp_path))
    assert synced == [tmp_path.name, "dev.jsonl", "ledger"]


APPENDER = """\
import os, sys, time
from pathlib import Path
from promotion.ledger import Ledger
os.fsync = lambda handle: None  # the faster, the closer together
path, count, who = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
(path.parent.parent / who).touch()
while not (path.parent.parent / "go").exists():
    time.sleep(0.001)
for _ in range(count):
    Ledger(path).append(model="churn", action="deliver", outcome="live", who=who, commit="3" * 40)
"""


def appending(path: Path, who: str, count: int) -> subprocess.Popen[bytes]:
    """A process that is about to append, as soon as there is a file `go`."""
    writer = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(path), str(count), who], cwd=ROOT
    )
    while not (path.parent.parent / who).exists():
        assert writer.poll() is None
    return writer


def test_processes_that_append_at_once_never_fork_the_chain(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    writers = [appending(ledger.path, f"writer{number}", 40) for number in range(3)]
    (tmp_path / "go").touch()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    who = [record.who for record in ledger.verify()]
    assert sorted(who) == [f"writer{number}" for number in range(3) for _ in range(40)]


def test_a_killed_writer_leaves_no_lock_behind(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    writer = appending(ledger.path, "killed", 100_000)
    (tmp_path / "go").touch()
    while not ledger.records():
        assert writer.poll() is None
    writer.kill()
    writer.wait(10)
    acknowledged = len(ledger.records())
    assert add(ledger, at=None).sequence >= acknowledged + 1
    assert ledger.verify()


class Life(RuleBasedStateMachine):
    """Appends, kills at any byte of a line, and damage, beside a list of what was returned."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.disk = patch.object(os, "fsync")  # kills are told by bytes here, so the disk can rest
        self.disk.start()
        self.ledger = a_ledger(self.folder)
        self.records: list[Record] = []
        self.torn = False

    @rule(minutes=st.integers(-90, 90), version=st.integers(1, 9))
    def append(self, minutes: int, version: int) -> None:
        made = add(self.ledger, after=a_moved(version), at=NOON + timedelta(minutes=minutes))
        self.records.append(made)
        self.torn = False

    @rule(data=st.data())
    def kill_in_the_middle_of_a_write(self, data: st.DataObject) -> None:
        """A line is begun at the end of the whole ones, and any part of it reaches the disk."""
        record = add(self.ledger)
        whole = record.line()
        kept = data.draw(st.integers(0, len(whole)))
        begun = b"".join(each.line() for each in self.records)
        self.ledger.path.write_bytes(begun + whole[:kept])
        self.torn = 0 < kept < len(whole) - 1
        if kept >= len(whole) - 1:
            self.records.append(record)

    @precondition(lambda self: len(self.records) > 1)
    @rule(data=st.data())
    def damage_is_named_and_can_be_taken_back(self, data: st.DataObject) -> None:
        content = self.ledger.path.read_bytes()
        whole = [each.line() for each in self.records]
        number = data.draw(st.integers(1, len(whole) - 1))
        start = sum(map(len, whole[: number - 1]))
        place = start + data.draw(st.integers(0, len(whole[number - 1]) - 1))
        other = bytes([content[place] ^ data.draw(st.integers(1, 255))])
        self.ledger.path.write_bytes(content[:place] + other + content[place + 1 :])
        with pytest.raises(GateRefused, match=rf"line {number}:"):
            self.ledger.verify()
        self.ledger.path.write_bytes(content)

    @invariant()
    def every_record_that_was_returned_is_there_and_no_other(self) -> None:
        assert self.ledger.records() == self.records

    @invariant()
    def verification_refuses_a_torn_line_alone(self) -> None:
        if self.torn:
            with pytest.raises(GateRefused, match=f"line {len(self.records) + 1}: it is no whole"):
                self.ledger.verify()
        else:
            assert self.ledger.verify() == self.records

    def teardown(self) -> None:
        self.disk.stop()
        shutil.rmtree(self.folder)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
