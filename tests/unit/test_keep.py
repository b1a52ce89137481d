"""`make keep`: what `ferry` wrote reaches the branch, whoever else pushed meanwhile."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = "Pulumi.dev.yaml"


def git(at: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=at, check=True, capture_output=True, text=True
    ).stdout.strip()


def keep(at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "keep", "STACK=dev"], cwd=at, capture_output=True, text=True, check=False
    )


def clone(origin: Path, at: Path) -> Path:
    git(origin.parent, "clone", "--quiet", str(origin), str(at))
    git(at, "config", "user.name", "A Person")
    git(at, "config", "user.email", "person@example.org")
    return at


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    bare = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    first = clone(bare, tmp_path / "first")
    git(first, "checkout", "--quiet", "-B", "main")
    shutil.copy(ROOT / "Makefile", first)
    (first / PINS).write_text("config: {}\n")
    git(first, "add", ".")
    git(first, "commit", "--quiet", "--message", "all")
    git(first, "push", "--quiet", "origin", "main")
    return bare


def test_pins_and_ledger_reach_the_branch_and_nothing_else_does(
    origin: Path, tmp_path: Path
) -> None:
    mine = clone(origin, tmp_path / "mine")
    (mine / PINS).write_text("config: {pinned: 2}\n")
    (mine / "ledger").mkdir()
    (mine / "ledger" / "dev.jsonl").write_text("{}\n")
    (mine / "notes").write_text("not Ferry's\n")

    assert keep(mine).returncode == 0

    changed = git(origin, "show", "--format=%s", "--name-only", "main").split("\n")
    assert changed == ["dev: pins and ledger", "", PINS, "ledger/dev.jsonl"]


def test_what_others_pushed_meanwhile_stays(origin: Path, tmp_path: Path) -> None:
    mine, theirs = clone(origin, tmp_path / "mine"), clone(origin, tmp_path / "theirs")
    (theirs / "README").write_text("theirs\n")
    git(theirs, "add", ".")
    git(theirs, "commit", "--quiet", "--message", "theirs")
    git(theirs, "push", "--quiet", "origin", "main")
    (mine / PINS).write_text("config: {pinned: 2}\n")

    assert keep(mine).returncode == 0

    assert git(origin, "log", "--format=%s", "main").split("\n") == [
        "dev: pins and ledger",
        "theirs",
        "all",
    ]


def test_nothing_written_is_nothing_committed(origin: Path, tmp_path: Path) -> None:
    mine = clone(origin, tmp_path / "mine")
    assert keep(mine).returncode == 0
    assert git(origin, "log", "--format=%s", "main") == "all"


def test_a_checkout_of_no_branch_is_an_error(origin: Path, tmp_path: Path) -> None:
    mine = clone(origin, tmp_path / "mine")
    git(mine, "checkout", "--quiet", "--detach")
    assert keep(mine).returncode != 0
