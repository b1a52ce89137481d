"""A whole stack on AWS, by the real engine, in an account that is emulated."""

import re
from dataclasses import dataclass, field

import pytest
import yaml

from lab.rehearsal import remains
from lab.rehearsal.play import Act, acts, part
from lab.rehearsal.stage import stage
from tests.lab.promoted import Promoted, promoted
from tests.program.recorder import LIVE, PINNED

pytestmark = pytest.mark.lab

STACK = "live"


@dataclass
class Played:
    acts: dict[str, Act] = field(default_factory=dict)
    promoted: Promoted | None = None
    """Before the first act that destroys."""
    left: dict[str, set[str]] = field(default_factory=dict)
    """After each act that destroys, what there is more than before the first."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The stack of the page, with a model pinned; whatever fails, fails every test."""
    content = yaml.safe_load(LIVE)
    content["config"]["ferry:pins"] = PINNED
    stack_file = part(STACK, yaml.safe_dump(content))
    seen = Played()
    folder = tmp_path_factory.mktemp("rehearsal")
    with stage(
        folder,
        account=stack_file.account,
        region=stack_file.region,
        copies=stack_file.copies,
    ) as on:
        before = remains.left(on)
        for act in acts(on, stack_file):
            seen.acts[act.name] = act
            print(f"{act.name}: {act.seconds:.1f} s, {act.cpu:.1f} CPU s, {act.changes}")
            if act.name == "pins that moved":
                seen.promoted = promoted(on, STACK, folder / "below")
            if act.name.startswith("destroy"):
                seen.left[act.name] = remains.left(on) - before
    return seen


def test_an_account_that_is_empty_can_be_previewed(played: Played) -> None:
    changes = played.acts["preview of an empty account"].changes
    assert changes.keys() == {"create"}
    assert changes["create"] > 250


def test_what_was_previewed_is_made(played: Played) -> None:
    made = played.acts["up"]
    # The kinds of upstream's files are known when there is a cluster.
    assert made.changes["created"] >= played.acts["preview of an empty account"].changes["create"]


@pytest.mark.parametrize("act", ["up again: no change", "preview: no change"])
def test_where_nothing_changed_nothing_is_found_to_change(played: Played, act: str) -> None:
    assert played.acts[act].changes == {}


def test_all_that_was_made_is_there_when_it_is_looked_for(played: Played) -> None:
    assert played.acts["refresh: nothing moved"].changes == {}


def test_an_administrator_more_is_an_entry_more_and_nothing_else(played: Played) -> None:
    assert played.acts["one administrator more"].changes == {"created": 2}


def test_a_pin_that_moved_changes_what_serves_it_and_replaces_nothing_of_the_account(
    played: Played,
) -> None:
    moved = played.acts["pins that moved"]
    assert moved.changes.keys() <= {"updated", "replaced", "created", "deleted"}
    assert moved.changes["updated"] >= 1
    assert not re.search(r"^ *[~+-]+ +aws:", moved.text, re.MULTILINE)


def test_what_dev_serves_is_promoted_into_the_account_and_deployed(played: Played) -> None:
    seen = played.promoted
    assert seen is not None
    assert seen.promote.returncode == 0, seen.promote.stdout
    assert seen.pinned == seen.release
    # Evidence and image are there, by their digests.
    assert seen.verify.returncode == 0, seen.verify.stdout
    assert seen.up.returncode == 0, seen.up.stdout
    assert re.search(r"^ +~ \d+ updated", seen.up.stdout, re.MULTILINE), seen.up.stdout


def test_a_destroy_leaves_nothing_in_the_account_and_nothing_in_the_cluster(
    played: Played,
) -> None:
    assert played.left == {"destroy": set(), "destroy once more": set()}


def test_a_stack_that_was_destroyed_can_be_made_again_the_same_day(played: Played) -> None:
    again = played.acts["up once more, the same day"].changes
    assert again == played.acts["up"].changes
