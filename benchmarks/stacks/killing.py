"""SIGKILL at a moment: to ferry, to the engine that it runs, or to their whole session."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.stacks import whole
from benchmarks.stacks.world import Command, World

Target = Literal["ferry", "pulumi", "session"]
_PAUSE = 0.002  # seconds, between two looks


@dataclass(frozen=True, kw_only=True)
class Moment:
    """`seconds` after the command's start, or after the `writes`-th change of what it moves."""

    seconds: float
    writes: int = 0


def strike(world: World, stack: str, command: Command, target: Target, at: Moment) -> bool:
    """Kill at the moment, or at the engine's next one if there is none then; False if none came."""
    due = None if at.writes else time.monotonic() + at.seconds
    seen, changes = whole.trace(world, stack), 0
    while command.process.poll() is None:
        if due is None:
            now = whole.trace(world, stack)
            changes, seen = changes + (now != seen), now
            due = time.monotonic() + at.seconds if changes >= at.writes else None
        elif time.monotonic() >= due and (found := _found(command.process.pid, target)):
            while found:
                for process in found:
                    _kill(process)
                # What a process of the session started meanwhile.
                found = _found(command.process.pid, target) if target == "session" else []
            return True
        time.sleep(_PAUSE)
    return False


def living(session: int) -> Iterator[int]:
    """The processes of a session that have not ended."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # After the name, which may hold anything: state, parent, group, session.
            state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(of) == session and state not in "ZX":
            yield int(folder.name)


def _found(ferry: int, target: Target) -> list[int]:
    if target == "ferry":
        return [ferry]
    if target == "session":
        return list(living(ferry))
    try:
        children = Path(f"/proc/{ferry}/task/{ferry}/children").read_text().split()
    except OSError:
        return []
    return [int(each) for each in children if _name(int(each)) == "pulumi"]


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
