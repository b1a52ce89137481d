"""The workflows, under the linter of their own."""

import subprocess
from pathlib import Path

import pytest

from lab import toolchain

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]


def test_the_workflows_pass_their_linter() -> None:
    toolchain.ensure(["actionlint"])
    done = subprocess.run(
        [str(toolchain.binary("actionlint")), "-no-color"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
