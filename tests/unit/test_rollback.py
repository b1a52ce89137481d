"""A rollback goes to what was live before, whole, and over any history prod has what dev served."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promotion import aliases, moves
from promotion.deliver import deliver
from promotion.promote import promote
from promotion.record import Moved
from promotion.refusals import GateRefused, Refusal
from promotion.rollback import rollback
from tests.unit.test_pins import a_pin
from tests.unit.two_stacks import MODEL, Killed, World, quiet
from tests.unit.two_stacks import world as make


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make(tmp_path, monkeypatch)


def back(world: World, stack: str = "dev") -> bool:
    return rollback(world.stack(stack), MODEL)[1]


def test_a_rollback_pins_the_whole_release_that_was_live_before(world: World) -> None:
    first = world.serve(1)
    world.serve(2)
    assert back(world)
    assert world.pin("dev") == first
    assert world.records("dev")[-1].action == "rollback"
    deliver(world.stack("dev"), quiet)
    assert world.served["dev"] == {MODEL: first}
    assert world.aliases["dev"] == 1


def test_a_rollback_that_is_not_delivered_yet_is_not_made_twice(world: World) -> None:
    first, *_ = [world.serve(version) for version in (1, 2, 3)][1:]
    assert back(world)
    assert not back(world)
    assert world.pin("dev") == first


def test_rolling_back_twice_goes_two_back_and_then_refuses(world: World) -> None:
    pins = [world.serve(version) for version in (1, 2, 3)]
    for wanted in (pins[1], pins[0]):
        back(world)
        deliver(world.stack("dev"), quiet)
        assert world.pin("dev") == wanted
    with pytest.raises(GateRefused, match="nothing to go back to"):
        back(world)
    assert world.pin("dev") == pins[0]
    assert world.records("dev")[-1].outcome == "refused"


def test_a_release_that_never_was_live_is_not_gone_back_to(world: World) -> None:
    first = world.serve(1)
    moves.move(world.stack("dev"), MODEL, a_pin(9), expected=first, action="pin")
    moves.move(world.stack("dev"), MODEL, a_pin(8), expected=a_pin(9), action="pin")
    assert back(world)
    assert world.pin("dev") == first


@pytest.mark.parametrize("gone", ["image", "evidence"])
def test_what_is_not_kept_cannot_be_gone_back_to(world: World, gone: str) -> None:
    first, second = world.serve(1), world.serve(2)
    if gone == "image":
        world.registries["dev"].remove(first.image)
    else:
        del world.buckets["dev"].objects[f"evidence/{MODEL}/1/release.json"]
    with pytest.raises(GateRefused):
        back(world)
    assert world.pin("dev") == second


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_killed_at_any_effect_the_same_command_again_finishes(
    world: World, at: int, after: bool
) -> None:
    first = world.serve(1)
    world.serve(2)
    world.effects, world.kill_at, world.kill_after = 0, at, after
    with pytest.raises(Killed):
        back(world)
    world.kill_at = None
    back(world)
    assert world.pin("dev") == first
    made = [each for each in world.records("dev") if each.action == "rollback"]
    assert [each.after for each in made] == [Moved.of(first)]
    assert world.records("dev")[-1] == made[0]


def test_a_version_that_a_stack_pins_is_not_deleted(world: World) -> None:
    world.serve(1)
    promote(world.stack("prod"), MODEL, quiet)
    world.serve(2)
    with pytest.raises(GateRefused, match=r"pinned by Pulumi\.prod\.yaml"):
        aliases.delete(world.stack("dev"), MODEL, 1)
    with pytest.raises(GateRefused, match=r"pinned by Pulumi\.dev\.yaml"):
        aliases.delete(world.stack("prod"), MODEL, 2)
    assert set(world.registered) == {1, 2}
    world.serve(3)
    assert aliases.delete(world.stack("prod"), MODEL, 2)
    assert not aliases.delete(world.stack("prod"), MODEL, 2)
    assert set(world.registered) == {1, 3}
    assert moves.last_set(world.records("prod"), MODEL) == Moved.of(world.pin("prod"))


steps = st.lists(
    st.sampled_from(
        [
            "release",
            "bad",
            "promote",
            "deliver dev",
            "deliver prod",
            "back dev",
            "back prod",
            "kill",
        ]
    ),
    max_size=14,
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=steps)
def test_over_any_history_prod_pins_only_what_dev_has_served(
    tmp_path_factory: pytest.TempPathFactory, history: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        world = make(tmp_path_factory.mktemp("history"), patch)
        ever: set[int] = set()
        for number, step in enumerate(history, start=1):
            try:
                act(world, number, step)
            except (Refusal, Killed):
                pass
            finally:
                world.kill_at = None
            ever |= {pin.version for pin in world.served["dev"].values()}
            for stack in ("dev", "prod"):
                known = moves.last_set(world.records(stack), MODEL)
                assert known == Moved.of(world.pin(stack)) or "kill" in history
            prod = world.pin("prod")
            assert prod is None or prod.version in ever
            assert prod is None or prod.image in world.registries["prod"]


def act(world: World, number: int, step: str) -> None:
    name, _, stack = step.partition(" ")
    if name in ("release", "bad"):
        if name == "bad":
            world.bad.add(number)
        pin = world.build(number).pin()
        moves.move(world.stack("dev"), MODEL, pin, expected=world.pin("dev"), action="pin")
    elif name == "deliver":
        deliver(world.stack(stack), quiet)
    elif name == "back":
        rollback(world.stack(stack), MODEL)
    else:
        if name == "kill":
            world.effects, world.kill_at = 0, number
        promote(world.stack("prod"), MODEL, quiet)
