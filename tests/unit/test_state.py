"""A state that is no whole JSON: the file is named, and the newest copy that is whole."""

import os
from pathlib import Path

import pytest

from promotion.refusals import DependencyDown
from promotion.stack import Stack
from promotion.state import remedy

SAID = "error: failed to load checkpoint: place 1: unexpected end of JSON input"
WHOLE = '{"version":3,"checkpoint":{"latest":{}}}'
PLACES = {
    "bak": "stacks/ferry/dev.json.bak",
    "backup": "backups/ferry/dev/dev.17.json",
    "history": "history/ferry/dev/dev-17.checkpoint.json",
}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A project whose state is cut, and its backend's folder with a copy of each kind."""
    (tmp_path / "Pulumi.yaml").write_text("name: ferry\nruntime: python\n")
    folder = tmp_path / "back end" / ".pulumi"
    for place in ("stacks/ferry/dev.json", *PLACES.values(), "backups/ferry/other/other.18.json"):
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(WHOLE if "json.bak" in place or file.name != "dev.json" else WHOLE[:20])
    return folder


def told(kept: Path, said: str = SAID, backend: str | None = None) -> str:
    root = kept.parent
    url = backend or f"file://{str(root).replace(' ', '%20')}"
    return remedy(said, "dev", root.parent, {"PULUMI_BACKEND_URL": url})


@pytest.mark.parametrize("newest", PLACES)
def test_the_newest_whole_copy_is_the_remedy(kept: Path, newest: str) -> None:
    for name, place in PLACES.items():
        os.utime(kept / place, (0, 2_000_000_000 if name == newest else 1_000_000_000))
    text = told(kept)
    assert "nothing was changed" in text
    assert f"is of 2033-05-18T03:33:20Z: `cp {kept / PLACES[newest]} " in text
    assert f" {kept / 'stacks/ferry/dev.json'}`" in text


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '"checkpoint'])
def test_a_copy_that_is_damaged_itself_is_none(kept: Path, damage: str) -> None:
    for place in PLACES.values():
        (kept / place).write_text(damage)
    text = told(kept)
    assert f"The file is {kept / 'stacks/ferry/dev.json'}" in text
    assert "there is no whole copy" in text
    assert "cp " not in text


def test_of_a_whole_state_only_what_is_beside_it_is_in_the_way(kept: Path) -> None:
    file = kept / "stacks/ferry/dev.json"
    file.write_text(WHOLE)
    text = told(kept, said="error: failed to load checkpoint: EOF")
    assert f"`rm {file}.attrs`" in text
    assert "cp " not in text


def test_where_states_are_no_files_the_backend_is_named(kept: Path) -> None:
    assert "Put back the copy that s3://states keeps" in told(kept, backend="s3://states")


def test_any_other_failure_needs_no_such_remedy(kept: Path) -> None:
    assert told(kept, said="error: no stack named 'dev' found") == ""


def test_the_backend_may_stand_in_the_project(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: ferry\nbackend:\n  url: file://{kept.parent}\n", "utf-8"
    )
    program = tmp_path / "pulumi"
    program.write_text(f"#!/bin/sh\necho '{SAID}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    with pytest.raises(DependencyDown, match=r"JSON input; the state of dev is .*: `cp "):
        _ = Stack("dev", tmp_path).outputs
