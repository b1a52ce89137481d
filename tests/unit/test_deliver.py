"""A delivery ends with file, cluster, ledger and alias in agreement, or says why it cannot."""

from pathlib import Path

import pytest

from promotion import aliases, engine, moves, pins, planning
from promotion.deliver import deliver
from promotion.promote import promote
from promotion.record import Moved
from promotion.refusals import Conflict, DependencyDown, GateRefused
from promotion.stack import Stack
from tests.unit.two_stacks import MODEL, Killed, World, quiet
from tests.unit.two_stacks import world as make


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make(tmp_path, monkeypatch)


def told(world: World, stack: str = "dev") -> list[tuple[str, str]]:
    return [(each.action, each.outcome) for each in world.records(stack)]


def pin(world: World, version: int) -> None:
    stack = world.stack("dev")
    wanted = world.build(version).pin()
    moves.move(stack, MODEL, wanted, expected=world.pin("dev"), action="pin")


def test_a_delivered_pin_is_live_in_ledger_cluster_and_alias(world: World) -> None:
    served = world.serve(1)
    assert told(world) == [("pin", "moved"), ("deliver", "live")]
    assert world.records("dev")[-1].after == Moved.of(served)
    assert world.aliases == {"dev": 1}


def test_the_topmost_stack_moves_the_champion(world: World) -> None:
    world.serve(1)
    promote(world.stack("prod"), MODEL, quiet)
    deliver(world.stack("prod"), quiet)
    world.serve(2)
    assert world.aliases == {"dev": 2, "prod": 1, "champion": 1}


def test_delivering_again_records_nothing(world: World) -> None:
    world.serve(1)
    made = deliver(world.stack("dev"), quiet)
    assert made.recorded == {}
    assert len(told(world)) == 2


def test_a_model_that_fails_gets_its_former_pin_back_with_the_reason(world: World) -> None:
    former = world.serve(1)
    pin(world, 2)
    world.bad.add(2)
    made = deliver(world.stack("dev"), quiet)
    assert made.put_back == {MODEL: "bad"}
    assert world.pin("dev") == former
    assert world.served["dev"] == {MODEL: former}
    assert world.aliases["dev"] == 1
    last = world.records("dev")[-1]
    assert (last.outcome, last.reason, last.after) == ("rolled-back", "bad", Moved.of(former))
    assert last.before is not None
    assert last.before.version == 2
    made = deliver(world.stack("dev"), quiet)
    assert (made.put_back, made.recorded) == ({}, {})


def test_evidence_of_the_former_release_is_needed_only_to_go_back(world: World) -> None:
    world.serve(1)
    del world.buckets["dev"].objects[f"evidence/{MODEL}/1/release.json"]
    pin(world, 2)
    assert deliver(world.stack("dev"), quiet).recorded == {MODEL: "live"}


def test_the_first_delivery_that_fails_has_nothing_to_go_back_to(world: World) -> None:
    pin(world, 1)
    world.bad.add(1)
    with pytest.raises(DependencyDown, match="bad"):
        deliver(world.stack("dev"), quiet)
    assert told(world)[-1] == ("deliver", "failed")
    assert world.pin("dev") is not None
    world.bad.clear()
    deliver(world.stack("dev"), quiet)
    assert told(world)[-1] == ("deliver", "live")


def test_without_a_ledger_the_outputs_say_what_was_served(world: World) -> None:
    former = world.serve(1)
    world.ledger("dev").path.unlink()
    pin(world, 2)
    world.bad.add(2)
    assert deliver(world.stack("dev"), quiet).put_back == {MODEL: "bad"}
    assert world.pin("dev") == former


def test_a_platform_that_fails_moves_no_pin(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.serve(1)
    pin(world, 2)
    text = "no space left"
    fails = engine.Ran(ok=False, complaints=[engine.Complaint(urn="", text=text)], printed="")
    monkeypatch.setattr(engine, "up", lambda stack, say: fails)
    with pytest.raises(DependencyDown, match=text):
        deliver(world.stack("dev"), quiet)
    found = world.pin("dev")
    assert found is not None
    assert found.version == 2
    assert world.records("dev")[-1].reason == text


def test_a_model_that_is_no_longer_pinned_is_recorded_as_removed(world: World) -> None:
    world.serve(1)
    moves.move(world.stack("dev"), MODEL, None, expected=world.pin("dev"), action="unpin")
    assert deliver(world.stack("dev"), quiet).recorded == {MODEL: "removed"}
    assert deliver(world.stack("dev"), quiet).recorded == {}


def test_a_pin_that_is_not_as_stored_is_not_delivered(world: World) -> None:
    world.serve(1)
    found = world.pin("dev")
    assert found is not None
    forged = found.model_copy(update={"weights": "sha256:" + "9" * 64})
    pins.move(world.stack("dev").file, MODEL, forged, expected=found)
    updates = len(world.updates)
    with pytest.raises(GateRefused, match="weights"):
        deliver(world.stack("dev"), quiet)
    assert len(world.updates) == updates


def test_prod_is_verified_without_any_model_registry_of_its_own(world: World) -> None:
    world.serve(1)
    promote(world.stack("prod"), MODEL, quiet)
    world.registered.clear()
    assert deliver(world.stack("prod"), quiet).recorded == {MODEL: "live"}
    world.registries["prod"].clear()
    with pytest.raises(GateRefused, match="is not in http"):
        deliver(world.stack("prod"), quiet)


def test_a_silent_model_registry_is_a_warning(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(1)
    promote(world.stack("prod"), MODEL, quiet)
    said: list[str] = []

    def down(stack: Stack) -> None:
        raise DependencyDown("MLflow does not answer")

    monkeypatch.setattr(aliases, "ModelRegistry", down)
    deliver(world.stack("prod"), said.append)
    assert any("MLflow does not answer" in text for text in said)
    assert told(world, "prod")[-1] == ("deliver", "live")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_at_any_effect_the_same_command_again_finishes(
    world: World, at: int, after: bool
) -> None:
    former = world.serve(1)
    pin(world, 2)
    world.bad.add(2)
    world.effects, world.kill_at, world.kill_after = 0, at, after
    with pytest.raises(Killed):
        deliver(world.stack("dev"), quiet)
    world.kill_at = None
    deliver(world.stack("dev"), quiet)
    assert world.pin("dev") == former
    assert world.served["dev"] == {MODEL: former}
    assert moves.live(world.records("dev"), MODEL) == Moved.of(former)
    assert moves.last_set(world.records("dev"), MODEL) == Moved.of(former)


def test_a_plan_holds_until_something_moves(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.serve(1)
    state = {"resources": [{"urn": "a", "outputs": {"x": {"ciphertext": "1"}}}]}
    steps = [{"op": "create", "urn": "b"}]
    monkeypatch.setattr(engine, "export", lambda stack: state)
    monkeypatch.setattr(engine, "preview", lambda stack: steps)
    (tmp_path / "plan.json").write_bytes(planning.make(world.stack("dev")).document())
    plan = planning.Plan.read(tmp_path / "plan.json")
    state["resources"][0]["outputs"]["x"]["ciphertext"] = "2"  # encrypted afresh
    deliver(world.stack("dev"), quiet, plan)

    def moved(word: str) -> None:
        updates = len(world.updates)
        with pytest.raises(Conflict, match=word):
            deliver(world.stack("dev"), quiet, plan)
        assert len(world.updates) == updates

    steps.append({"op": "delete", "urn": "c"})
    moved("not in the plan: delete c")
    steps[:] = [{"op": "update", "urn": "b"}]
    moved("no longer planned: create b")
    steps[:] = [{"op": "create", "urn": "b"}]
    state["resources"][0]["outputs"]["y"] = {}
    moved("state: ")
    del state["resources"][0]["outputs"]["y"]
    (tmp_path / "__main__.py").write_text("x")
    moved("program: ")
    (tmp_path / "__main__.py").unlink()
    monkeypatch.setattr("promotion.ledger.head", lambda directory: "1" * 40)
    moved("commit: none then, 1111")
    monkeypatch.setattr("promotion.ledger.head", lambda directory: None)
    deliver(world.stack("dev"), quiet, plan)
    world.set("dev", "lockDays: 1", "lockDays: 2")
    moved("settings: ")
