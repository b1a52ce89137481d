"""The commit of a folder: the one that its files are of."""

import subprocess
from pathlib import Path

import pytest

from infra.revision import revision


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@ferry.test")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit(folder: Path, path: str) -> str:
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(f"{path}\n")
    git(folder, "add", path)
    git(folder, "commit", "--quiet", "--message", path)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    return tmp_path


def test_a_commit_elsewhere_is_no_other_revision(tree: Path) -> None:
    first = commit(tree, "app/train.py")
    commit(tree, "infra/program.py")
    assert revision(tree / "app") == first


def test_a_commit_of_the_folder_is_its_revision(tree: Path) -> None:
    commit(tree, "app/train.py")
    second = commit(tree, "app/ingest.py")
    assert revision(tree / "app") == second


@pytest.mark.parametrize("file", ["train.py", "new.py"])
def test_files_that_are_not_of_the_commit_are_said_to_be_so(tree: Path, file: str) -> None:
    first = commit(tree, "app/train.py")
    (tree / "app" / file).write_text("changed\n")
    assert revision(tree / "app") == f"{first}-dirty"


def test_changes_elsewhere_do_not_count(tree: Path) -> None:
    first = commit(tree, "app/train.py")
    (tree / "README.md").write_text("new\n")
    assert revision(tree / "app") == first


def test_a_folder_that_git_knows_nothing_of_has_none(tree: Path) -> None:
    (tree / "app").mkdir()
    (tree / "app" / "new.py").write_text("new\n")
    assert revision(tree / "app") == ""
    commit(tree, "infra/program.py")
    assert revision(tree / "app") == ""


def test_without_git_there_is_none(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tree, "app/train.py")
    monkeypatch.setenv("PATH", str(tree))
    assert revision(tree / "app") == ""
