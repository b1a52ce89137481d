"""A release is built from what a commit holds, once."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.settings import parse
from promotion import build, evidence, images
from promotion.models import Registered
from promotion.refusals import GateRefused
from promotion.release import Release, digest
from promotion.stack import Stack
from tests.unit.test_release import a_release
from tests.unit.test_settings import PLATFORM


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """One registered version whose image would be `a_release`'s; remembers what was done."""
    release = a_release()
    world = SimpleNamespace(release=release, stored=None, done=[], dirty=False, missing="", tags={})

    class Registry:
        def __init__(self, stack: Stack) -> None: ...

        def newest(self, model: str) -> int:
            return release.version

        def make_candidate(self, model: str, version: int) -> None:
            world.done.append(("candidate", version))

        def version(self, model: str, version: int) -> Registered:
            fields = release.model_dump(exclude={"format", "image", "files"})
            return Registered(**{**fields, **world.tags}, dirty=world.dirty)

        def download(self, run: str, folder: str, into: Path) -> None:
            (into / folder).mkdir()
            if folder == "model":
                return
            for name in evidence.REQUIRED - {world.missing}:
                (into / folder / name).write_text(f"the {name}")

        def tag(self, model: str, version: int, **tags: str) -> None:
            world.done.append(("tag", tags))

    def lay(commit: str, *_: object) -> None:
        world.done.append(("context", commit))

    def image(stack: Stack, registered: Registered, context: Path, say: object) -> str:
        found = {path.relative_to(context).as_posix() for path in context.rglob("*")}
        signature = {"signature", "signature/signature.json", "signature/signer.pem"}
        assert found == {"model", *signature}, (
            "of the evidence, the signature alone is in the image"
        )
        for name in ("signature.json", "signer.pem"):
            assert (context / "signature" / name).read_text() == f"the {name}"
        world.done.append(("image", registered.version))
        return release.image

    def write(bucket: object, folder: str, files: dict[str, bytes], *, lock_days: int) -> None:
        world.done.append(("evidence", sorted(files)))
        world.written = files

    monkeypatch.setattr(build, "ModelRegistry", Registry)
    monkeypatch.setattr(build, "_image", image)
    monkeypatch.setattr(images, "context", lay)
    monkeypatch.setattr(evidence, "read", lambda bucket, key: world.stored)
    monkeypatch.setattr(evidence, "write", write)
    monkeypatch.setattr(Stack, "bucket", lambda self: None)
    monkeypatch.setattr(Stack, "settings", parse(PLATFORM, stack="dev"))
    world.build = lambda: build.build(
        Stack("dev", Path("/nowhere")), "credit-default", None, lambda text: None
    )
    return world


def test_the_image_is_built_from_the_versions_own_commit(world: SimpleNamespace) -> None:
    made, new = world.build()
    assert new
    assert world.done[0] == ("context", made.commit)
    assert made.image == world.release.image


def test_the_record_lists_the_digest_of_every_file_beside_it(world: SimpleNamespace) -> None:
    made, _ = world.build()
    assert ("evidence", sorted([*evidence.REQUIRED, "release.json"])) in world.done
    assert made.files == {
        name: digest(f"the {name}".encode()) for name in sorted(evidence.REQUIRED)
    }
    assert Release.read(world.written["release.json"], evidence=made.pin().evidence) == made


def test_a_version_is_the_candidate_once_its_image_and_evidence_are_there(
    world: SimpleNamespace,
) -> None:
    made, _ = world.build()
    assert [step for step, _ in world.done] == ["context", "image", "evidence", "tag", "candidate"]
    assert world.done[-1] == ("candidate", made.version)


def test_a_release_that_was_built_before_is_left_as_it_is_but_announced_again(
    world: SimpleNamespace,
) -> None:
    world.stored = world.release.document()
    assert world.build() == (world.release, False)
    assert [step for step, _ in world.done] == ["tag", "candidate"]


def test_code_that_no_commit_holds_is_refused_before_anything_is_built(
    world: SimpleNamespace,
) -> None:
    world.dirty = True
    with pytest.raises(GateRefused, match="commit them, then `make release`"):
        world.build()
    assert world.done == []


def test_what_no_pod_can_verify_is_refused_before_anything_is_built(world: SimpleNamespace) -> None:
    world.tags = {"signer": "keyless"}
    with pytest.raises(GateRefused, match=r"no pod can verify.*MODEL_SIGNING_KEY"):
        world.build()
    assert world.done == []


@pytest.mark.parametrize("missing", sorted(evidence.REQUIRED))
def test_a_version_without_all_its_evidence_is_refused_before_an_image_is_built(
    world: SimpleNamespace, missing: str
) -> None:
    world.missing = missing
    with pytest.raises(GateRefused, match=f"has no {missing} among its evidence"):
        world.build()
    assert [step for step, _ in world.done] == ["context"]
