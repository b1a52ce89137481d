"""The stand-in for the provider `docker`, without a container engine."""

import threading
from pathlib import Path
from typing import Any

import pytest

from lab.standins.docker import DockerProvider, label
from lab.standins.image_registry import Pushed
from lab.standins.provider import Invalid, Operation, Refused
from lab.standins.reference import Reference
from lab.standins.values import UNKNOWN, Secret

NAME = "r.test/a/b:1"


def operation(kind: str = "docker:index/image:Image", *, preview: bool = False) -> Operation:
    return Operation(
        urn="urn",
        type=kind,
        name="image",
        preview=preview,
        cancelled=threading.Event(),
        log=lambda message, severity: None,
        status=lambda message: None,
    )


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def check(context: Path, **inputs: object) -> dict[str, Any]:
    given = {"imageName": NAME, "build": {"context": str(context)}, **inputs}
    return DockerProvider().check(operation(), {}, given, b"")


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, bool]:
    found = DockerProvider().diff(operation(), old, {}, new).changes
    return {path: change.replace for path, change in found.items()}


def test_a_changed_file_is_a_changed_input(context: Path) -> None:
    before = check(context)
    assert changes(before, check(context)) == {}
    (context / "new").touch()
    assert changes(before, check(context)) == {"build.contextDigest": False}


def test_a_new_name_is_a_new_resource(context: Path) -> None:
    assert changes(check(context), check(context, imageName="r.test/a/c")) == {"imageName": True}


def test_new_credentials_build_nothing_but_another_registry_does(context: Path) -> None:
    before = check(context, registry={"server": "r", "username": "a", "password": Secret("b")})
    after = check(context, registry={"server": "r", "username": "c", "password": Secret("d")})
    assert changes(before, after) == {}
    other = check(context, registry={"server": "s"})
    assert changes(before, other) == {"registry.server": False}


@pytest.mark.parametrize(
    "unknown", [{"build": {"context": UNKNOWN}}, {"build": UNKNOWN}, {"registry": UNKNOWN}]
)
def test_what_is_not_known_yet_is_no_error(context: Path, unknown: dict[str, Any]) -> None:
    inputs = check(context, **unknown)
    outputs = DockerProvider().create(operation(preview=True), inputs).outputs
    assert (inputs["build"]["contextDigest"] is UNKNOWN) == ("build" in unknown)
    assert ("registryServer" in outputs) == ("build" in unknown)
    assert ("context" in outputs) == ("registry" in unknown)


def test_secret_arguments_stay_secret(context: Path) -> None:
    build = {"context": str(context), "args": {"TOKEN": Secret("x")}}
    inputs = check(context, build=build)
    assert inputs["build"]["args"] == {"TOKEN": Secret("x")}
    whole = check(context, build=Secret(build))
    assert isinstance(whole["build"], Secret)


def test_a_preview_knows_the_name_and_not_the_digest(context: Path) -> None:
    build = {"context": str(context), "platform": "linux/arm64"}
    inputs = check(context, build=build, imageName="a")
    outputs = DockerProvider().create(operation(preview=True), inputs).outputs
    assert outputs == {
        "imageName": "a",
        "baseImageName": "a",
        "context": str(context),
        "dockerfile": f"{context}/Dockerfile",
        "platform": "linux/arm64",
        "registryServer": "docker.io",
    }
    unknown = check(context, imageName=UNKNOWN)
    assert "registryServer" not in DockerProvider().create(operation(preview=True), unknown).outputs


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"build": {"network": "host"}}, "build.network"),
        ({"registry": {"token": "x"}}, "registry.token"),
        ({"labels": {}}, "labels"),
        ({"buildOnPreview": True}, "buildOnPreview"),
        ({"imageName": "Upper"}, "imageName"),
        ({"build": {"context": "/nowhere"}}, "build"),
    ],
)
def test_what_cannot_be_is_named(context: Path, inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(context, **inputs)
    assert list(caught.value.failures) == [named]


def test_other_resources_and_arguments_are_refused_by_name() -> None:
    with pytest.raises(Refused, match="docker:index/registryImage:RegistryImage"):
        DockerProvider().check(operation("docker:index/registryImage:RegistryImage"), {}, {}, b"")
    with pytest.raises(Refused, match="cannot be imported"):
        DockerProvider().read(operation(), {}, {})
    with pytest.raises(Invalid, match="argument host"):
        DockerProvider().check_config({"host": "tcp://x", "version": "5.2.0"})
    engine = {"version": "5.2.0", "__internal": {}}
    assert DockerProvider().check_config(engine) == engine


def test_a_label_tells_builds_apart() -> None:
    build = {"contextDigest": "1", "args": {"A": "1"}, "target": "t", "platform": "p"}
    labels = {label(build), *(label({**build, key: "other"}) for key in build)}
    assert len(labels) == 5
    assert label({**build, "context": "elsewhere", "builderVersion": "x"}) == label(build)


# Building, with a script that plays docker and a registry that is asked by name


SCRIPT = """#!/bin/sh
echo "$@" >> {folder}/calls
cat > /dev/null
case "$*" in
  *RepoDigests*) echo '["r.test/a/b@sha256:2"]' ;;
  *.Id*) echo sha256:1 ;;
esac
"""


class Played:
    """What docker was called with, what the registry was asked, and what it holds."""

    def __init__(self, calls: Path) -> None:
        self._calls = calls
        self.asked: list[object] = []
        self.holds: Pushed | None = None

    @property
    def commands(self) -> list[str]:
        """The first words of docker's commands."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line.split()[0] for line in lines]

    @property
    def calls(self) -> str:
        return self._calls.read_text()

    def wait(self, host: str) -> None:
        self.asked.append(host)

    def find(self, name: Reference, credentials: tuple[str, str] | None) -> Pushed | None:
        self.asked.append((str(name), credentials))
        return self.holds


@pytest.fixture
def played(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Played:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "docker").write_text(SCRIPT.format(folder=folder))
    (folder / "docker").chmod(0o755)
    played = Played(folder / "calls")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("lab.standins.image_registry.wait", played.wait)
    monkeypatch.setattr("lab.standins.image_registry.find", played.find)
    return played


def test_an_image_is_built_pushed_and_known_by_its_digest(context: Path, played: Played) -> None:
    registry = {"server": "https://r.test", "username": "me", "password": Secret("word")}
    inputs = check(context, registry=registry)
    state = DockerProvider().create(operation(), inputs)
    assert played.commands == ["login", "build", "image", "push", "image"]
    assert "login -u me --password-stdin r.test\n" in played.calls
    assert f"--label=dev.ferry.context={label(inputs['build'])} " in played.calls
    assert played.asked == ["r.test", (NAME, ("me", "word"))]
    assert state.id == NAME
    assert state.outputs["repoDigest"] == "r.test/a/b@sha256:2"
    assert state.outputs["imageId"] == "sha256:1"
    assert "word" not in str(state.outputs)


def test_what_the_registry_has_is_not_built_again(context: Path, played: Played) -> None:
    inputs = check(context)
    played.holds = Pushed("sha256:8", "sha256:9", {"dev.ferry.context": label(inputs["build"])})
    outputs = DockerProvider().create(operation(), inputs).outputs
    assert played.commands == []
    assert played.asked == ["r.test", (NAME, None)]
    assert (outputs["repoDigest"], outputs["imageId"]) == ("r.test/a/b@sha256:8", "sha256:9")
    played.holds = Pushed("sha256:8", "sha256:9", {"dev.ferry.context": "another"})
    assert DockerProvider().update(operation(), {}, {}, inputs)["repoDigest"].endswith(":2")
    assert played.commands == ["build", "image", "push", "image"]


def test_an_image_that_is_not_pushed_asks_no_registry(context: Path, played: Played) -> None:
    inputs = check(context, skipPush=True, registry={"username": "me"})
    outputs = DockerProvider().create(operation(), inputs).outputs
    assert played.commands == ["build", "image"]
    assert played.asked == []
    assert outputs["repoDigest"] == outputs["imageId"] == "sha256:1"


def test_a_preview_of_an_update_builds_nothing(context: Path, played: Played) -> None:
    outputs = DockerProvider().update(operation(preview=True), {}, {}, check(context))
    assert "repoDigest" not in outputs
    assert played.commands == []
