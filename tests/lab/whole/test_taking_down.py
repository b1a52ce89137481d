"""The end of the whole stack: what `pulumi destroy` and `make down` leave, which is nothing."""

import json
import os
from pathlib import Path

import pytest

from tests.lab.clone import Clone
from tests.lab.whole.jobs import STACK

pytestmark = pytest.mark.lab


def test_destroy_takes_everything_and_up_would_build_it_again(clone: Clone, up: str) -> None:
    clone.pulumi("destroy", "--yes", "--skip-preview")
    namespaces = clone.kubectl("get", "namespaces", "-o", "name")
    assert f"{STACK}-" not in namespaces
    state = json.loads(clone.pulumi("stack", "export"))["deployment"]
    assert {each["type"] for each in state.get("resources") or []} <= {"pulumi:pulumi:Stack"}


def test_make_down_leaves_nothing_of_ours_on_the_machine(clone: Clone, up: str) -> None:
    clone.make("down")
    assert f"ferry-{STACK}" not in clone.run("ip", "netns", "list")
    assert f"labs/{STACK}" not in Path("/proc/self/mounts").read_text()
    assert f"{STACK}.ferry.test" not in Path("/etc/hosts").read_text()
    left = [
        Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for pid in os.listdir("/proc")
        if pid.isdigit() and Path("/proc", pid, "cmdline").exists()
    ]
    assert not [line for line in left if f"labs/{STACK}" in line]
