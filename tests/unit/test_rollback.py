"""A rollback goes to what was live before, whole, and over any history prod has what dev served."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promotion import aliases, ledger, moves, pins
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


def back(world: World, stack: str = "dev", version: int | None = None) -> bool:
    return rollback(world.stack(stack), MODEL, version)[1]


def test_a_rollback_pins_the_whole_release_that_was_live_before(world: World) -> None:
    first = world.serve(1)
    world.serve(2)
    assert back(world)
    assert world.pin("dev") == first
    assert world.records("dev")[-1].action == "rollback"
    deliver(world.stack("dev"), quiet)
    assert world.served["dev"] == {MODEL: first}
    assert world.aliases["dev"] == 1


@pytest.mark.parametrize("delivered", [False, True])
def test_a_rollback_made_again_stays_where_it_led(world: World, delivered: bool) -> None:
    second = [world.serve(version) for version in (1, 2, 3)][1]
    assert back(world)
    if delivered:
        deliver(world.stack("dev"), quiet)
    before = world.records("dev")
    assert not back(world)
    assert world.pin("dev") == second
    assert world.records("dev") == before


def test_after_a_new_release_a_rollback_leads_back_again(world: World) -> None:
    second = [world.serve(version) for version in (1, 2, 3)][1]
    for version in (4, 5):
        assert back(world)
        deliver(world.stack("dev"), quiet)
        assert world.pin("dev") == second
        world.serve(version)


def test_by_its_version_any_release_that_was_live_is_gone_back_to(world: World) -> None:
    served = [world.serve(version) for version in (1, 2, 3)]
    for wanted in (served[1], served[0], served[2]):
        assert back(world, version=wanted.version)
        deliver(world.stack("dev"), quiet)
        assert world.pin("dev") == wanted
        assert not back(world, version=wanted.version)


def test_of_two_that_were_live_under_one_version_the_last_is_gone_back_to(world: World) -> None:
    book, before = ledger.of(world.stack("dev")), Moved.of(a_pin(1))  # of a registry since deleted
    book.append(model=MODEL, action="deliver", outcome="live", after=before)
    first = world.serve(1)
    world.serve(2)
    assert back(world, version=1)
    assert world.pin("dev") == first


def test_from_a_pin_written_by_hand_a_version_is_gone_back_to(world: World) -> None:
    world.serve(1)
    second = world.serve(2)
    pins.move(world.stack("dev").file, MODEL, a_pin(9), expected=second)
    assert back(world, version=2)
    assert world.pin("dev") == second


def test_what_is_before_all_that_was_live_is_refused(world: World) -> None:
    only = world.serve(1)
    with pytest.raises(GateRefused, match="nothing to go back to"):
        back(world)
    assert world.pin("dev") == only
    assert world.records("dev")[-1].outcome == "refused"


def test_a_version_that_never_was_live_is_refused_with_those_that_were(world: World) -> None:
    world.serve(1)
    second = world.serve(2)
    moves.move(world.stack("dev"), MODEL, a_pin(9), expected=second, action="pin")
    book = ledger.of(world.stack("dev"))
    book.append(model=MODEL, action="deliver", outcome="failed", after=Moved.of(a_pin(9)))
    with pytest.raises(GateRefused, match=r"version 9 .* never live in dev; those that were: 1, 2"):
        back(world, version=9)
    assert world.pin("dev") == a_pin(9)
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


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_killed_at_any_effect_the_same_command_again_finishes(
    world: World, at: int, after: bool, version: int | None
) -> None:
    first = world.serve(1)
    world.serve(2)
    world.effects, world.kill_at, world.kill_after = 0, at, after
    with pytest.raises(Killed):
        back(world, version=version)
    world.kill_at = None
    back(world, version=version)
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
            "beyond prod",
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
    elif name == "beyond":
        rollback(world.stack(stack), MODEL, version=number // 2)
    else:
        if name == "kill":
            world.effects, world.kill_at = 0, number
        promote(world.stack("prod"), MODEL, quiet)
