"""The ledger of a stack: a file that only grows, each line bound to the one before."""

import fcntl
import getpass
import os
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from promotion import mirroring
from promotion.locks import held
from promotion.record import (
    START,
    Action,
    Gate,
    Moved,
    Outcome,
    Record,
    chain,
    next_time,
    read,
)
from promotion.refusals import DependencyDown, GateRefused, NeverUp
from promotion.release import digest
from promotion.stack import Stack

FOLDER = "ledger"
"""At the project's root, in Git."""


class Ledger:
    """`ledger/<stack>.jsonl`: appended to under a lock, never rewritten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack = path.stem

    def append(
        self,
        *,
        model: str,
        action: Action,
        outcome: Outcome,
        before: Moved | None = None,
        after: Moved | None = None,
        gates: Sequence[Gate] = (),
        reason: str | None = None,
        who: str | None = None,
        commit: str | None = None,
        at: datetime | None = None,
    ) -> Record:
        """Record one attempt; once this returns, it survives a crash of the machine.

        `who`, `commit` and `at` are found where they are not given: Git's user or else the login
        name, the project's HEAD, the clock. What a killed writer left of a line is cut off first.
        A line that somebody damaged hinders nothing: the attempt is recorded behind it, and
        `verify` goes on naming it. Raises pydantic's ValidationError for a field out of range.
        """
        who = who or author(self.path.parent.parent)
        commit = commit or head(self.path.parent.parent)
        _make(self.path.parent)
        with held(self.path.parent):
            lines, _ = self._lines()
            newest = next((found.at for line in reversed(lines) if (found := read(line))), None)
            record = Record(
                sequence=len(lines) + 1,
                previous=digest(lines[-1]) if lines else START,
                at=next_time(newest, at),
                stack=self.stack,
                model=model,
                action=action,
                who=who,
                commit=commit,
                before=before,
                after=after,
                gates=tuple(gates),
                outcome=outcome,
                reason=reason,
            )
            _write(self.path, keep=sum(map(len, lines)), line=record.line())
        return record

    def records(self) -> list[Record]:
        """Every record, oldest first; what a killed writer left of a line is none.

        Raises `GateRefused` naming the first line that is not as it was appended.
        """
        return chain(self.lines(), self.stack)

    def verify(self) -> list[Record]:
        """As `records`, and refuses a torn last line too: nobody can tell what it was."""
        lines, torn = self._locked_lines()
        return chain([*lines, *([torn] if torn else [])], self.stack)

    def lines(self) -> list[bytes]:
        """Every whole line with its newline."""
        return self._locked_lines()[0]

    def _locked_lines(self) -> tuple[list[bytes], bytes]:
        if not self.path.parent.is_dir():
            return [], b""
        with held(self.path.parent, fcntl.LOCK_SH):
            return self._lines()

    def _lines(self) -> tuple[list[bytes], bytes]:
        """Whole lines, and the torn rest that a killed writer left at the end."""
        content = self.path.read_bytes() if self.path.exists() else b""
        *lines, rest = content.split(b"\n")
        whole = [line + b"\n" for line in lines]
        if rest and read(rest + b"\n"):  # only its newline is missing
            return [*whole, rest + b"\n"], b""
        return whole, rest


def of(stack: Stack) -> Ledger:
    """The stack's ledger in its project, whether it has a record yet or not."""
    return Ledger(stack.directory / FOLDER / f"{stack.name}.jsonl")


def all_in(directory: Path) -> list[Ledger]:
    """Every ledger below the project's folder."""
    return [Ledger(path) for path in sorted((directory / FOLDER).glob("*.jsonl"))]


def mirror(stack: Stack) -> int:
    """Copy into the stack's bucket what it lacks of the ledger; returns how many records.

    Each is locked as evidence is. Raises `Conflict` when the bucket holds another record under a
    sequence, or one that the file no longer has: the file was forked, rewritten or cut.
    Raises `GateRefused` for a broken ledger, `DependencyDown` when the bucket does not answer.
    """
    ledger = of(stack)
    ledger.records()
    days = stack.settings.platform.data.lock_days
    return mirroring.upload(stack.bucket(), stack.name, ledger.lines, lock_days=days)


def mirror_if_reachable(stack: Stack, say: Callable[[str], None]) -> None:
    """As `mirror`; a bucket out of reach is a warning, made up for by the next call."""
    try:
        mirror(stack)
    except (DependencyDown, GateRefused, NeverUp) as error:
        say(f"warning: the ledger of {stack.name} is not mirrored to its bucket yet: {error}")


def hold_end(stack: Stack) -> None:
    """Raise `Conflict` if the stack's bucket has records that the file lacks, or another last one.

    A stack that was never up has no bucket to hold it against.
    """
    try:
        bucket = stack.bucket()
    except NeverUp:
        return
    mirroring.same_end(bucket, stack.name, of(stack).lines)


def author(directory: Path) -> str:
    """Who acts: Git's user.email as the project sees it, else the login name, else the user id."""
    if email := _git(directory, "config", "user.email"):
        return email
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def head(directory: Path) -> str | None:
    """The commit that the project stands at; None outside of Git, and before the first commit."""
    return _git(directory, "rev-parse", "--verify", "--quiet", "HEAD")


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _write(path: Path, *, keep: int, line: bytes) -> None:
    """Put `line` at byte `keep`, where the whole lines end; a torn one gives way."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        try:
            if size < keep:  # the last line is whole but for its newline
                os.pwrite(handle, b"\n", size)
            os.ftruncate(handle, keep)
            done = 0
            while done < len(line):
                done += os.pwrite(handle, line[done:], keep + done)
            os.fsync(handle)
        except OSError:  # a full disk: what is half there would be the next one's to cut
            os.ftruncate(handle, min(size, keep))
            raise
    finally:
        os.close(handle)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
