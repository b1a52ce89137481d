"""A promotion moves only what the stack below serves, as one act, from wherever it was killed."""

import threading
from pathlib import Path

import pytest

from promotion import pins
from promotion.promote import approve, check, promote
from promotion.record import Moved
from promotion.refusals import Conflict, DependencyDown, GateRefused, UsageRefused
from tests.unit.test_gates import SIGNER, figure, metrics
from tests.unit.test_release import ZEROS
from tests.unit.two_stacks import MODEL, Killed, World, quiet
from tests.unit.two_stacks import world as make


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make(tmp_path, monkeypatch)


def run(world: World) -> str:
    return promote(world.stack("prod"), MODEL, quiet).outcome


def refusal(world: World) -> str:
    """Of a promotion that is refused: nothing has moved, and the ledger has it with its gates."""
    before, objects = world.pin(), dict(world.buckets["prod"].objects)
    with pytest.raises(GateRefused) as refused:
        run(world)
    assert world.pin() == before
    assert world.buckets["prod"].objects == objects
    last = world.records()[-1]
    assert (last.action, last.outcome, last.reason) == ("promote", "refused", str(refused.value))
    return str(refused.value)


def test_what_dev_serves_is_pinned_in_prod_with_its_evidence_and_image(world: World) -> None:
    pin = world.serve(1)
    assert run(world) == "moved"
    assert world.pin() == pin
    assert world.registries["prod"] == {pin.image}
    prod, dev = world.buckets["prod"], world.buckets["dev"]
    assert prod.objects == dev.objects
    assert set(prod.locks) == set(prod.objects)
    record = world.records()[-1]
    assert (record.action, record.outcome, record.before) == ("promote", "moved", None)
    assert record.after == Moved.of(pin)
    assert len(record.gates) == 12
    assert all(gate.passed for gate in record.gates)


def test_promoting_again_changes_and_records_nothing(world: World) -> None:
    world.serve(1)
    run(world)
    effects = world.effects
    assert run(world) == "nothing"
    assert world.effects == effects


def test_a_comment_in_the_stack_file_survives(world: World) -> None:
    world.set("prod", "environment: prod", "environment: prod # ours")
    world.serve(1)
    run(world)
    assert "environment: prod # ours" in world.stack("prod").file.read_text()


def test_a_stack_without_one_below_is_not_promoted_to(world: World) -> None:
    with pytest.raises(UsageRefused, match="not promoted to it"):
        promote(world.stack("dev"), MODEL, quiet)


def test_what_dev_never_served_is_refused(world: World) -> None:
    assert "dev pins nothing and serves nothing" in refusal(world)
    pins.move(world.stack("dev").file, MODEL, world.build(1).pin(), expected=None)
    assert "run `ferry deliver --stack dev`" in refusal(world)


def test_a_silent_model_is_refused(world: World) -> None:
    world.serve(1)
    world.silent.add("dev")
    assert "health: dev answers 'no answer'" in refusal(world)


def test_a_gate_names_what_it_saw_and_wanted(world: World) -> None:
    world.serve(1, metrics=metrics(figure(0.6)))
    asks(world, "models: {credit-default: {gates: {minimumAuc: 0.65}}}")
    assert "95% interval begins at 0.58, wanted is at least 0.65" in refusal(world)


def test_the_targets_signers_and_ages_are_those_that_count(world: World) -> None:
    world.serve(1)
    asks(world, "models: {credit-default: {gates: {maximumAge: 30m}}}")  # it is an hour old
    assert "freshness: " in refusal(world)
    world.set("prod", "maximumAge: 30m", "maximumAge: 2h")
    asks(world, f"signers: ['{ZEROS}']")
    assert "not among platform.signers" in refusal(world)
    world.set("prod", ZEROS, SIGNER)
    assert run(world) == "moved"


def asks(world: World, setting: str) -> None:
    """Have prod ask for something more."""
    world.set("prod", "below: dev", f"below: dev\n    {setting}")


@pytest.mark.parametrize("name", ["metrics.json", "card.md", "release.json"])
def test_forged_evidence_is_refused(world: World, name: str) -> None:
    world.serve(1)
    stored = world.buckets["dev"].objects
    stored[f"evidence/{MODEL}/1/{name}"] += b" "
    assert "was changed after" in refusal(world)


def test_evidence_that_vanished_is_refused(world: World) -> None:
    world.serve(1)
    del world.buckets["dev"].objects[f"evidence/{MODEL}/1/privacy.json"]
    assert "evidence: missing: privacy.json" in refusal(world)


def test_other_bytes_in_the_target_are_a_conflict(world: World) -> None:
    world.serve(1)
    world.buckets["prod"].objects[f"evidence/{MODEL}/1/card.md"] = b"other"
    with pytest.raises(Conflict, match="written once"):
        run(world)
    assert world.pin() is None
    assert world.records()[-1].outcome == "conflict"


def test_a_stack_that_is_down_is_recorded_as_a_failure(world: World) -> None:
    world.serve(1)
    world.down = "prod"
    with pytest.raises(DependencyDown):
        run(world)
    assert [record.outcome for record in world.records()] == ["failed"]
    world.down = ""
    assert run(world) == "moved"


def test_an_approval_counts_for_one_release_and_not_from_its_author(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks(world, "models: {credit-default: {gates: {approvals: 1}}}")
    world.serve(1)
    assert approve(world.stack("prod"), MODEL)[1]
    assert not approve(world.stack("prod"), MODEL)[1]
    assert "approved by nobody" in refusal(world)
    with monkeypatch.context() as somebody:
        somebody.setattr("promotion.ledger.author", lambda directory: "other@ferry.test")
        approve(world.stack("prod"), MODEL)
    world.serve(2)
    assert "approved by nobody" in refusal(world)
    world.served["dev"].clear()
    pins.move(world.stack("dev").file, MODEL, world.build(1).pin(), expected=world.pin("dev"))
    world.up(world.stack("dev"), None)
    assert run(world) == "moved"


def test_checking_moves_nothing(world: World) -> None:
    world.serve(1)
    effects = world.effects
    assert not check(world.stack("prod"), MODEL, None, quiet).failed
    assert world.effects == effects


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_effect_the_same_command_again_finishes(world: World, after: bool) -> None:
    killed, version = 0, 0
    while True:
        version += 1
        pin = world.serve(version)
        world.effects, world.kill_at, world.kill_after = 0, killed + 1, after
        try:
            run(world)
        except Killed:
            killed += 1
        else:
            break
        finally:
            world.kill_at = None
        run(world)
        moved = [each for each in world.records() if each.outcome == "moved"]
        assert world.pin() == pin
        assert [each.after for each in moved if each.after == Moved.of(pin)] == [Moved.of(pin)]
        assert pin.image in world.registries["prod"]
        assert run(world) == "nothing"
        folder = f"evidence/{MODEL}/{version}/"
        for key, content in world.buckets["dev"].objects.items():
            if key.startswith(folder):
                assert world.buckets["prod"].objects[key] == content
    assert killed == 14  # eleven files, the image, the pin and the record


def test_of_eight_that_promote_at_once_one_does(world: World) -> None:
    for version in range(1, 4):
        pin, start, said = world.serve(version), threading.Barrier(8), []

        def one(start: threading.Barrier = start, said: list[str] = said) -> None:
            start.wait()
            said.append(run(world))

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(said) == ["moved", *["nothing"] * 7]
        moved = [each.after for each in world.records() if each.outcome == "moved"]
        assert moved.count(Moved.of(pin)) == 1
