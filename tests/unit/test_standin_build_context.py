"""What a build sees, and that its digest changes exactly with it."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.standins.build_context import Ignore, digest, files, ignore_file

NAMES = st.text("abc.", min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})
TREES = st.dictionaries(NAMES, st.binary(max_size=8), min_size=1, max_size=5)
IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("rules", "ignored", "kept"),
    [
        ("*.md", ["a.md"], ["a/b.md", "amd"]),
        ("**/*.md", ["a.md", "a/b.md", "a/b/c.md"], ["a/b.mdx"]),
        ("node", ["node", "node/a", "node/a/b"], ["a/node", "nodes"]),
        ("/node/", ["node/a"], ["a/node"]),
        ("a/*/c", ["a/b/c", "a/b/c/d"], ["a/c", "a/b/x/c"]),
        ("a/**/c", ["a/c", "a/b/c", "a/x/y/c"], ["b/c"]),
        ("a/**", ["a/b", "a/b/c"], ["b"]),
        ("a**c", ["a/b/c", "ac"], ["b/ac"]),
        ("?.txt", ["a.txt"], ["ab.txt", "/.txt"]),
        ("[a-c].txt", ["b.txt"], ["d.txt"]),
        ("[^a].txt", ["b.txt"], ["a.txt"]),
        ("\\*.txt", ["*.txt"], ["a.txt"]),
        ("*\n!a", ["b", "b/a"], ["a", "a/b"]),
        ("a\n!a/keep\na/keep/not", ["a/x", "a/keep/not"], ["a/keep", "a/keep/y"]),
        ("# a\n\n  b  \n./c", ["b", "c"], ["a", "# a"]),
        (".", [], ["a"]),
    ],
)
def test_the_last_rule_that_matches_decides(
    rules: str, ignored: list[str], kept: list[str]
) -> None:
    ignore = Ignore(rules.splitlines())
    assert [path for path in ignored if path not in ignore] == []
    assert [path for path in kept if path in ignore] == []


def test_an_exception_brings_back_a_file_of_an_ignored_folder(tmp_path: Path) -> None:
    _grow(tmp_path, {"a/keep": b"", "a/drop": b"", "b": b""})
    assert list(files(tmp_path, Ignore(["a", "!a/keep"]))) == ["a/keep", "b"]
    assert list(files(tmp_path, Ignore(["a"]))) == ["b"]


def test_links_are_seen_and_not_followed(tmp_path: Path) -> None:
    _grow(tmp_path, {"a/b": b"", "Dockerfile": b""})
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    assert list(files(tmp_path, Ignore([]))) == ["Dockerfile", "a/b", "link"]
    before = _digest(tmp_path)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("nowhere")
    assert _digest(tmp_path) != before


@IN_ONE_FOLDER
@given(tree=TREES, name=NAMES, content=st.binary(max_size=8))
def test_the_digest_changes_exactly_with_the_files(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes], name: str, content: bytes
) -> None:
    first, second = (tmp_path_factory.mktemp("context") for _ in range(2))
    _grow(first, {"Dockerfile": b"", **tree})
    # In another order, at another time.
    _grow(second, dict(reversed([*tree.items(), ("Dockerfile", b"")])))
    assert _digest(first) == _digest(second)
    _grow(second, {name: content})
    assert (_digest(first) == _digest(second)) == (tree.get(name) == content)


def test_what_is_ignored_does_not_count_but_the_dockerfile_does(tmp_path: Path) -> None:
    _grow(tmp_path, {"Dockerfile": b"1", ".dockerignore": b"Dockerfile\n*.log\n", "a.log": b"1"})
    before = _digest(tmp_path)
    _grow(tmp_path, {"a.log": b"2"})
    assert _digest(tmp_path) == before
    _grow(tmp_path, {"Dockerfile": b"2"})
    assert _digest(tmp_path) != before


def test_the_executable_bit_counts_and_other_permissions_do_not(tmp_path: Path) -> None:
    _grow(tmp_path, {"Dockerfile": b"", "run": b""})
    seen = {}
    for mode in (0o644, 0o600, 0o755):
        (tmp_path / "run").chmod(mode)
        seen[mode] = _digest(tmp_path)
    assert seen[0o644] == seen[0o600] != seen[0o755]


def test_contents_and_paths_cannot_stand_for_each_other(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    _grow(first, {"Dockerfile": b"", "a": b"x", "b": b"y"})
    _grow(second, {"Dockerfile": b"", "a": b"y", "b": b"x"})
    assert _digest(first) != _digest(second)


def test_a_dockerfile_may_have_an_ignore_file_of_its_own(tmp_path: Path) -> None:
    _grow(tmp_path, {"Dockerfile": b"", ".dockerignore": b""})
    assert ignore_file(tmp_path, tmp_path / "Dockerfile") == tmp_path / ".dockerignore"
    _grow(tmp_path, {"Dockerfile.dockerignore": b""})
    assert ignore_file(tmp_path, tmp_path / "Dockerfile") == tmp_path / "Dockerfile.dockerignore"


def test_a_missing_dockerfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Dockerfile"):
        _digest(tmp_path)


def _digest(context: Path) -> str:
    return digest(context, context / "Dockerfile")


def _grow(folder: Path, tree: dict[str, bytes]) -> None:
    for name, content in tree.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
