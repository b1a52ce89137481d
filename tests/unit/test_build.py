"""A release is built from what a commit holds, once."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from promotion import build, evidence, images
from promotion.models import Registered
from promotion.refusals import GateRefused
from promotion.release import Release
from promotion.stack import Stack
from tests.unit.test_release import a_release


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """One registered version whose image would be `a_release`'s; remembers what was done."""
    release = a_release()
    world = SimpleNamespace(release=release, stored=None, done=[], dirty=False, metrics="{}")

    class Registry:
        def __init__(self, stack: Stack) -> None: ...

        def candidate(self, model: str) -> int:
            return release.version

        def version(self, model: str, version: int) -> Registered:
            fields = release.model_dump(exclude={"format", "image", "files"})
            return Registered(**fields, dirty=world.dirty)

        def download(self, run: str, folder: str, into: Path) -> None:
            (into / folder).mkdir()
            (into / folder / "model.json").write_text(world.metrics)

        def tag(self, model: str, version: int, **tags: str) -> None:
            world.done.append(("tag", tags))

    def lay(commit: str, *_: object) -> None:
        world.done.append(("context", commit))

    def write(bucket: object, folder: str, files: dict[str, bytes]) -> None:
        world.done.append(("evidence", sorted(files)))
        world.written = files

    monkeypatch.setattr(build, "ModelRegistry", Registry)
    monkeypatch.setattr(build, "_image", lambda *arguments: release.image)
    monkeypatch.setattr(images, "context", lay)
    monkeypatch.setattr(evidence, "read", lambda bucket, key: world.stored)
    monkeypatch.setattr(evidence, "write", write)
    monkeypatch.setattr(Stack, "bucket", lambda self: None)
    world.build = lambda: build.build(
        Stack("dev", Path("/nowhere")), "credit-default", None, lambda text: None
    )
    return world


def test_the_image_is_built_from_the_versions_own_commit(world: SimpleNamespace) -> None:
    world.metrics = '{"metrics": {"auc": 0.7}}'
    made, new = world.build()
    assert new
    assert world.done[0] == ("context", made.commit)
    assert made.image == world.release.image


def test_the_record_lists_the_digest_of_the_metrics_beside_it(world: SimpleNamespace) -> None:
    world.metrics = '{"metrics": {"auc": 0.7}}'
    made, _ = world.build()
    assert ("evidence", ["metrics.json", "release.json"]) in world.done
    assert made.files["metrics.json"] == build.digest(world.written["metrics.json"])
    assert Release.read(world.written["release.json"], evidence=made.pin().evidence) == made


def test_a_release_that_was_built_before_is_left_as_it_is(world: SimpleNamespace) -> None:
    world.stored = world.release.document()
    assert world.build() == (world.release, False)
    assert world.done == []


def test_code_that_no_commit_holds_is_refused_before_anything_is_built(
    world: SimpleNamespace,
) -> None:
    world.dirty = True
    with pytest.raises(GateRefused, match="commit them, then `make release`"):
        world.build()
    assert world.done == []


@pytest.mark.parametrize("metrics", ["", "{}", "[]"])
def test_a_model_without_metrics_is_refused(world: SimpleNamespace, metrics: str) -> None:
    world.metrics = metrics
    with pytest.raises(GateRefused, match=r"model\.json gives no metrics"):
        world.build()
    assert [step for step, _ in world.done] == ["context"]
