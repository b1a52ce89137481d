"""A state file that was cut: the engine changes nothing, ferry names it, and its copy is whole."""

from pathlib import Path

import pytest

from lab import toolchain
from promotion import engine
from promotion.refusals import DependencyDown
from promotion.stack import Stack
from tests.lab.project import Project

pytestmark = pytest.mark.lab

PROGRAM = """
import pulumi
import pulumi_random

made = pulumi_random.RandomPassword("made", length=12)
pulumi.export("made", made.result)
"""


def test_a_cut_state_is_named_with_the_copy_that_makes_it_whole_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path).program(PROGRAM)
    (tmp_path / "bin" / "pulumi").symlink_to(toolchain.binary("pulumi"))
    project.up()
    password = project.output("made")
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    file = next((tmp_path / "backend" / ".pulumi" / "stacks").rglob("t.json"))
    stack = Stack("t", project.folder)
    cut = file.read_text()[: len(file.read_text()) // 2]
    file.write_text(cut)
    with pytest.raises(DependencyDown, match="no whole JSON") as told:
        engine.export(stack)
    assert not engine.up(stack, print).ok
    assert file.read_text() == cut
    assert str(file) in str(told.value)
    copy, into = str(told.value).partition("`cp ")[2].partition("`")[0].split()
    Path(into).write_text(Path(copy).read_text())
    project.refresh()
    project.up()
    assert project.output("made") == password
