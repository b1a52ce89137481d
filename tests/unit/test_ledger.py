"""The ledger only grows: whatever is killed, altered or done at once, its chain tells."""

import os
import re
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promotion import ledger as ledgers
from promotion.ledger import Ledger
from promotion.record import START, Gate, Moved, Record, chain, read
from promotion.refusals import GateRefused
from promotion.release import canonical, digest

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_moved(version: int = 1) -> Moved:
    of = f"sha256:{version:064x}"
    return Moved(version=version, image=of, weights=of, evidence=of)


def a_ledger(folder: Path, stack: str = "dev") -> Ledger:
    return Ledger(folder / "ledger" / f"{stack}.jsonl")


def add(ledger: Ledger, **changes: object) -> Record:
    fields = {
        "model": "credit-default",
        "action": "pin",
        "outcome": "moved",
        "after": a_moved(),
        "who": "ann@ferry.test",
        "commit": "3" * 40,
        "at": NOON,
    }
    return ledger.append(**{**fields, **changes})  # ty: ignore[invalid-argument-type]


def lines_of(count: int, stack: str = "dev") -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        ledger = a_ledger(Path(folder), stack)
        for version in range(1, count + 1):
            add(ledger, after=a_moved(version), at=NOON + timedelta(minutes=version))
        return ledger.lines()


FIVE = lines_of(5)


def rewritten(line: bytes, **changes: object) -> bytes:
    """What somebody would write who knows the format."""
    found = read(line)
    assert found
    return canonical({**found.model_dump(mode="json"), **changes})


def test_each_line_holds_the_digest_of_the_one_before() -> None:
    first, second = (read(line) for line in FIVE[:2])
    assert first
    assert second
    assert (first.sequence, first.previous) == (1, START)
    assert (second.sequence, second.previous) == (2, digest(FIVE[0]))


def test_every_field_is_read_back_as_it_was_appended(tmp_path: Path) -> None:
    gate = Gate(name="auc", passed=False, saw=0.71, wanted=0.75, text="0.71 is below 0.75")
    made = add(
        a_ledger(tmp_path),
        action="promote",
        before=a_moved(1),
        after=a_moved(2),
        gates=[gate],
        outcome="refused",
        reason="auc",
    )
    assert a_ledger(tmp_path).verify() == [made]
    assert made.gates == (gate,)


def test_what_is_no_json_or_no_text_is_recorded_as_words(tmp_path: Path) -> None:
    gates = [Gate(name="psi", passed=False, saw=float("nan"), wanted=float("inf"))]
    made = add(a_ledger(tmp_path), gates=gates, reason="half \ud83d and\nlines")
    assert (made.gates[0].saw, made.gates[0].wanted) == ("nan", "inf")
    assert made.reason == "half ? and\nlines"
    assert a_ledger(tmp_path).verify() == [made]


@given(st.text(), st.floats() | st.integers() | st.booleans() | st.text() | st.none())
@settings(max_examples=60, deadline=None)
def test_any_words_and_numbers_are_read_back(words: str, number: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = a_ledger(Path(folder))
        gates = [{"name": words, "passed": True, "saw": number, "text": words}]
        made = [add(ledger, reason=words, gates=gates) for _ in range(2)]
        assert ledger.verify() == made


def test_who_and_commit_are_those_of_git_or_else_the_login_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("LOGNAME", "login")
    alone = add(a_ledger(tmp_path), who=None, commit=None)
    assert (alone.who, alone.commit) == ("login", None)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert add(a_ledger(tmp_path), who=None).who == f"uid {os.getuid()}"

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("config", "user.email", "bob@ferry.test")
    git("config", "user.name", "bob")
    git("commit", "--quiet", "--allow-empty", "--message", "first")
    known = add(a_ledger(tmp_path), who=None, commit=None)
    assert (known.who, known.commit) == ("bob@ferry.test", git("rev-parse", "HEAD"))


@pytest.mark.parametrize("behind", [timedelta(hours=1), timedelta(0), timedelta(days=400)])
def test_a_clock_that_is_behind_never_takes_time_back(tmp_path: Path, behind: timedelta) -> None:
    ledger = a_ledger(tmp_path)
    add(ledger, at=NOON)
    assert add(ledger, at=NOON - behind).at == NOON
    assert add(ledger, at=NOON + timedelta(seconds=1)).at == NOON + timedelta(seconds=1)


def test_a_time_of_another_zone_is_recorded_in_utc(tmp_path: Path) -> None:
    there = NOON.astimezone(datetime.strptime("+0200", "%z").tzinfo)
    add(a_ledger(tmp_path), at=there)
    assert b'"at":"2026-11-24T12:00:00Z"' in a_ledger(tmp_path).lines()[0]


def test_a_ledger_that_was_never_written_is_empty_and_whole(tmp_path: Path) -> None:
    assert a_ledger(tmp_path).verify() == []
    assert not (tmp_path / "ledger").exists()


FAKES = {
    "altered": (
        [FIVE[0], rewritten(FIVE[1], who="eve@ferry.test"), *FIVE[2:]],
        "line 2: it was altered: line 3 follows",
    ),
    "altered at the start": ([rewritten(FIVE[0], reason="x"), *FIVE[1:]], "line 1: it was altered"),
    "linked elsewhere": (
        [*FIVE[:2], rewritten(FIVE[2], previous=START), *FIVE[3:]],
        "line 3: it was altered: its neighbours",
    ),
    "no record": ([*FIVE[:3], b"{}\n", FIVE[4]], "line 4: it is no record"),
    "spaced": ([FIVE[0].replace(b",", b", ", 1), *FIVE[1:]], "line 1: it is no record"),
    "removed": ([*FIVE[:2], *FIVE[3:]], "line 3: it holds record 4: 3 was removed"),
    "two removed": ([FIVE[0], *FIVE[3:]], "line 2: it holds record 4: 2 to 3 was removed"),
    "removed and numbered anew": (
        [*FIVE[:2], rewritten(FIVE[3], sequence=3), rewritten(FIVE[4], sequence=4)],
        "line 3: it was altered",
    ),
    "first removed": (FIVE[1:], "line 1: it holds record 2: 1 was removed"),
    "inserted": ([*FIVE[:2], FIVE[0], *FIVE[2:]], "line 3: it holds record 1, where 3 was due"),
    "inserted in its place": (
        [*FIVE[:2], rewritten(FIVE[2], who="eve@ferry.test"), *FIVE[2:]],
        "line 4: it holds record 3, where 4 was due",
    ),
    "duplicated": ([*FIVE[:3], FIVE[2], *FIVE[3:]], "line 4: it holds record 3, where 4"),
    "reordered": ([FIVE[0], FIVE[2], FIVE[1], *FIVE[3:]], "line 2: it holds record 3: 2 was"),
    "cut in the middle": ([*FIVE[:2], FIVE[2][:40] + b"\n", *FIVE[3:]], "line 3: it is no record"),
    "cut at the end": ([*FIVE[:4], FIVE[4][:40]], "line 5: it is no whole record"),
    "empty": ([*FIVE[:3], b"\n", *FIVE[3:]], "line 4: it is no record"),
    "another stack's": (lines_of(2, "prod"), "line 1: it is a record of stack prod"),
    "the last, linked elsewhere": (
        [*FIVE[:4], rewritten(FIVE[4], previous=START)],
        "line 4: it was altered: line 5 follows a line of other bytes (or line 5 itself was",
    ),
    "earlier than before": (
        [*FIVE[:4], rewritten(FIVE[4], at="2026-11-24T11:00:00Z")],
        "line 5: its time 2026-11-24T11:00:00Z is before",
    ),
    "of another zone": (
        [rewritten(FIVE[0], at="2026-11-24T12:01:00+02:00")],
        "line 1: it is no record",
    ),
}


@pytest.mark.parametrize(("lines", "words"), FAKES.values(), ids=FAKES)
def test_verification_names_the_first_line_that_is_not_as_appended(
    tmp_path: Path, lines: list[bytes], words: str
) -> None:
    ledger = a_ledger(tmp_path)
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(b"".join(lines))
    with pytest.raises(GateRefused, match=re.escape(f"ledger/dev.jsonl: {words}")):
        ledger.verify()


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_byte_before_the_last_line_can_change_unnoticed(data: st.DataObject) -> None:
    content = bytearray(b"".join(FIVE))
    end_of_fourth = sum(map(len, FIVE[:4]))
    place = data.draw(st.integers(0, end_of_fourth - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    number = bytes(b"".join(FIVE))[:place].count(b"\n") + 1
    with pytest.raises(GateRefused, match=rf"line {number}:"):
        chain([line + b"\n" for line in bytes(content).split(b"\n")[:-1]], "dev")


def test_a_damaged_line_hinders_no_record_and_stays_named(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(FIVE[0] + b"garbage\n")
    made = add(ledger, at=NOON)
    assert (made.sequence, made.previous) == (3, digest(b"garbage\n"))
    assert made.at == NOON + timedelta(minutes=1)
    with pytest.raises(GateRefused, match="line 2"):
        ledger.records()


def test_a_line_that_lacks_its_newline_alone_is_a_record(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(b"".join(FIVE)[:-1])
    assert len(ledger.verify()) == 5
    assert add(ledger).sequence == 6
    assert ledger.lines()[:5] == FIVE
    assert len(ledger.verify()) == 6


def test_the_ledgers_of_a_project_are_found_by_their_stacks(tmp_path: Path) -> None:
    for stack in ("prod", "dev"):
        add(a_ledger(tmp_path, stack))
    assert [ledger.stack for ledger in ledgers.all_in(tmp_path)] == ["dev", "prod"]
