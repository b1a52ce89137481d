"""A pin passes only when registry, bucket and model registry hold exactly what it names."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.settings import Pin
from promotion import evidence, images, verify
from promotion.models import Registered
from promotion.refusals import GateRefused, NeverUp
from promotion.release import Release
from promotion.stack import Stack
from tests.unit.test_ferry import DEV
from tests.unit.test_release import a_release

OTHER = "sha256:" + "9" * 64


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A stack whose registries agree on one release; each test changes one of them."""
    release = a_release()
    registered = Registered(**release.model_dump(exclude={"format", "image", "files"}), dirty=False)
    world = SimpleNamespace(
        pin=release.pin(), release=release.document(), registered=registered, image=release.image
    )

    class Registry:
        def __init__(self, stack: Stack) -> None:
            if world.registered is None:
                raise NeverUp("dev was never brought up here")

        def version(self, model: str, version: int) -> Registered:
            if version != world.registered.version:
                raise GateRefused(f"{model} has no version {version} in http://mlflow")
            return world.registered

    outputs = SimpleNamespace(registry=SimpleNamespace(url="http://registry"))
    monkeypatch.setattr(verify, "ModelRegistry", Registry)
    monkeypatch.setattr(Stack, "outputs", outputs)
    monkeypatch.setattr(Stack, "registry_login", ("u", "p"))
    monkeypatch.setattr(Stack, "bucket", lambda self: None)
    monkeypatch.setattr(evidence, "read", lambda bucket, key: world.release)
    monkeypatch.setattr(images, "digest", lambda *arguments: world.image)
    (tmp_path / "Pulumi.dev.yaml").write_text(DEV)
    world.verify = lambda: verify.verify(Stack("dev", tmp_path), {"credit-default": world.pin})
    return world


def refusal(world: SimpleNamespace) -> str:
    with pytest.raises(GateRefused) as refused:
        world.verify()
    return str(refused.value)


def test_a_pin_that_everything_agrees_with_passes(world: SimpleNamespace) -> None:
    world.verify()


def test_a_version_that_is_missing_is_named(world: SimpleNamespace) -> None:
    world.pin = world.pin.model_copy(update={"version": 999})
    said = refusal(world)
    assert "Pulumi.dev.yaml: ferry:pins.credit-default: credit-default has no version 999" in said
    assert "nothing was deployed" in said


@pytest.mark.parametrize("field", ["weights", "signer", "features"])
def test_a_pin_that_differs_from_the_model_registry_shows_both_values(
    world: SimpleNamespace, field: str
) -> None:
    world.registered = world.registered.model_copy(update={field: OTHER})
    said = refusal(world)
    assert f"{field} is {getattr(world.pin, field)}, MLflow's version 7 has {OTHER}" in said


@pytest.mark.parametrize("field", [name for name in Pin.model_fields if name != "version"])
def test_no_field_of_a_pin_can_be_edited_by_hand(world: SimpleNamespace, field: str) -> None:
    other: dict[str, Any] = {
        "run": "9" * 32,
        "commit": "9" * 40,
        "data": world.pin.data.model_copy(update={"sha256": "9" * 64}),
    }
    world.pin = world.pin.model_copy(update={field: other.get(field, OTHER)})
    assert "credit-default: " in refusal(world)


def test_an_image_that_the_registry_does_not_have_is_named(world: SimpleNamespace) -> None:
    world.image = None
    assert f"image {world.pin.image} is not in http://registry" in refusal(world)


def test_evidence_that_is_gone_is_named(world: SimpleNamespace) -> None:
    world.release = None
    assert "version 7 has no release.json in the bucket" in refusal(world)


def test_evidence_that_was_changed_is_named(world: SimpleNamespace) -> None:
    world.release = Release.read(world.release).model_copy(update={"image": OTHER}).document()
    assert "changed after it was pinned" in refusal(world)


def test_a_pin_in_a_stack_that_was_never_up_says_how_to_take_it_out(
    world: SimpleNamespace,
) -> None:
    world.registered = None
    assert "ferry unpin --all --stack dev" in refusal(world)
