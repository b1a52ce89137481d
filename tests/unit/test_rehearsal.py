"""What of a stack file is rehearsed, and what is read off the engine's words."""

import pytest
import yaml

from lab.errors import LabError
from lab.rehearsal.play import Act, _changes, part

FILE = """
encryptionsalt: v1:of-the-real-state
config:
  ferry:platform:
    foundation: {kind: aws, region: eu-west-1, account: "1", administrators: [a]}
    data: {keep: true, lockDays: 3}
  ferry:pins: {m: {version: 1}}
"""
SAID = """
  aws:eks:Addon (a):
    aws:eks/addon:Addon is an echo: none there
  aws:eks:Addon (b):
    aws:eks/addon:Addon is an echo: none there

Resources:
    + 2 created
    ~ 1 updated
    +-3 replaced
    295 unchanged

Duration: 2s
"""


def test_what_is_rehearsed_can_be_taken_down_and_is_else_the_stack_s_own() -> None:
    played = part("live", FILE)
    assert (played.account, played.region) == ("1", "eu-west-1")
    content = yaml.safe_load(played.text())
    assert content.keys() == {"config"}  # no salt of another state
    assert content["config"]["ferry:platform"]["data"] == {"keep": False, "lockDays": 3}
    assert content["config"]["ferry:pins"] == {"m": {"version": 1}}


def test_a_changed_setting_is_changed_for_one_act_alone() -> None:
    played = part("live", FILE)
    changed = yaml.safe_load(played.text(administrators=["a", "b"]))
    assert changed["config"]["ferry:platform"]["foundation"]["administrators"] == ["a", "b"]
    assert yaml.safe_load(played.text())["config"]["ferry:platform"]["foundation"] == {
        **changed["config"]["ferry:platform"]["foundation"],
        "administrators": ["a"],
    }
    moved = yaml.safe_load(played.text(pins={"m": {"version": 2}}))
    assert moved["config"]["ferry:pins"] == {"m": {"version": 2}}


def test_a_stack_on_a_cluster_is_sent_to_what_is_real() -> None:
    with pytest.raises(LabError, match="make up STACK=dev"):
        part("dev", FILE.replace("kind: aws", "kind: cluster"))


def test_the_engine_s_summary_is_read_without_what_stays() -> None:
    assert _changes(SAID) == {"created": 2, "updated": 1, "replaced": 3}
    assert _changes("Resources:\n    + 295 to create\n") == {"create": 295}
    assert _changes("nothing") == {}


def test_an_echo_is_told_once() -> None:
    act = Act("up", 1, 1, SAID, {})
    assert act.echoes == ["aws:eks/addon:Addon is an echo: none there"]
