"""Commands at once, and commands killed: the short form of `benchmarks.contest` and `.kills`."""

import pytest

from benchmarks import contest, kills

pytestmark = pytest.mark.lab


def test_of_several_that_promote_at_once_one_wins_and_the_others_hear_who() -> None:
    found = contest.measure(times=2, same=1, operators=4)
    assert {name: each["wrong"] for name, each in found["kinds"].items()} == {
        "a release each": [],
        "the same release": [],
    }
    assert found["mirrored"]


def test_a_killed_command_is_mended_by_the_same_once_more() -> None:
    found = kills.measure(kills=10, seed=7)
    assert [each for each in found["all"] if each["wrong"]] == []
    assert found["recovered"] == found["kills"] >= 10
