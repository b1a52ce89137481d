"""A moved pin as a Git change: the stack file and its ledger, and nothing else of the tree."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from promotion import ledger, moves
from promotion.record import Record
from promotion.refusals import Conflict, UsageRefused
from promotion.stack import Stack


def commit(stack: Stack, model: str, branch: str | None = None) -> str | None:
    """Commit the stack file and the ledger; None when they are committed already.

    What else is staged or changed stays as it is. With `branch`, the commit goes on top of that
    branch, or of a new one from HEAD, and the one that is checked out stays where it is.
    """
    files = [_inside(stack, path) for path in (stack.file, ledger.of(stack).path) if path.exists()]
    message = _message(stack, model)
    if branch is None:
        _git(stack, "add", "--intent-to-add", "--", *files)
        if not _git(stack, "status", "--porcelain", "--", *files):
            return None
        _git(stack, "commit", "--quiet", "--only", f"--message={message}", "--", *files)
        return _git(stack, "rev-parse", "HEAD")
    return _on_branch(stack, branch, files, message)


def _on_branch(stack: Stack, branch: str, files: Sequence[str], message: str) -> str | None:
    _git(stack, "check-ref-format", "--branch", branch)
    name = f"refs/heads/{branch}"
    if name == _git(stack, "rev-parse", "--symbolic-full-name", "HEAD"):
        raise UsageRefused(f"{branch} is checked out; use --commit to commit on it")
    tip = _git(stack, "for-each-ref", "--format=%(objectname)", name)
    parent = tip or _git(stack, "rev-parse", "HEAD")
    with tempfile.TemporaryDirectory(prefix="ferry-index-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        _git(stack, "read-tree", parent, variables=index)
        _git(stack, "update-index", "--add", "--", *files, variables=index)
        tree = _git(stack, "write-tree", variables=index)
    if tree == _git(stack, "rev-parse", f"{parent}^{{tree}}"):
        return None
    made = _git(stack, "commit-tree", tree, "-p", parent, "-m", message)
    try:
        _git(stack, "update-ref", name, made, tip or "0" * len(made))
    except UsageRefused as error:
        raise Conflict(f"branch {branch} moved meanwhile; run the command again") from error
    return made


def _message(stack: Stack, model: str) -> str:
    """What moved, by whom and why, with the gates as a table."""
    last = moves.last_move(ledger.of(stack).records(), model)
    if last is None:
        return f"{stack.name}: {model}"
    to = f"version {last.after.version}" if last.after else "no release"
    lines = [f"{stack.name}: {model} to {to}", "", *_facts(last)]
    if last.gates:
        lines += ["", "| gate | passed | saw | wanted |", "|---|---|---|---|"]
        lines += [
            f"| {gate.name} | {'yes' if gate.passed else 'no'} | {_cell(gate.saw)} "
            f"| {_cell(gate.wanted)} |"
            for gate in last.gates
        ]
    return "\n".join(lines)


def _facts(record: Record) -> list[str]:
    before = f"version {record.before.version}" if record.before else "no release"
    facts = [f"{record.action} by {record.who}, from {before} (ledger: {record.sequence})"]
    if record.after:
        facts += [f"image {record.after.image}", f"evidence {record.after.evidence}"]
    return [*facts, *([record.reason] if record.reason else [])]


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).replace("|", "/").split())


def _inside(stack: Stack, path: Path) -> str:
    return str(path.relative_to(stack.directory))


def _git(stack: Stack, *arguments: str, variables: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", "-C", str(stack.directory), *arguments],
        env={**os.environ, **(variables or {})},
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise UsageRefused(f"`git {arguments[0]}` failed: {done.stderr.strip()}")
    return done.stdout.strip()
