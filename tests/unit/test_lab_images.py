"""What the mirror holds: names, versions, recipes."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lab import paths
from lab.cluster import addons, runtime
from lab.images import base, build, catalog
from lab.toolchain.catalog import tools

MANIFESTS = Path(addons.__file__).parent / "manifests"


def _manifest_images() -> set[str]:
    texts = [file.read_text() for file in MANIFESTS.glob("*.yaml")]
    named = {name for text in texts for name in re.findall(r"image: (\S+)", text)}
    (metrics,) = yaml.safe_load(
        (MANIFESTS / "metrics" / "kustomization.yaml").read_text().replace("${base}", "base")
    )["images"]
    return {*named, f"{metrics['newName']}:{metrics['newTag']}"}


def test_every_image_the_cluster_itself_uses_is_in_the_mirror() -> None:
    mirrored = {image.name for image in catalog.images()}
    assert _manifest_images() | {runtime.PAUSE} <= mirrored


def test_an_image_of_a_tool_is_tagged_with_the_tools_version() -> None:
    for image in catalog.images():
        if image.tool:
            assert tools()[image.tool].version.removeprefix("v") == image.tag.removeprefix("v")


def test_every_recipe_starts_from_what_the_mirror_holds_by_then() -> None:
    built = {"scratch"}
    for image in catalog.images():
        assert set(re.findall(r"^FROM (\S+)", image.dockerfile.read_text(), re.M)) <= built
        built.add(image.name)


def test_every_file_a_recipe_copies_is_there() -> None:
    for image in catalog.images():
        given = {Path(name).name for name in image.files} | {
            image.binary or image.tool,
            image.program,
        }
        given |= {"rootfs.tar"} if image.packages else set()
        copied = re.findall(r"^(?:COPY|ADD) (?!--from)(\S+) ", image.dockerfile.read_text(), re.M)
        assert set(copied) <= given, image.name
        assert all(source.exists() for source in image.sources())


def test_no_recipe_names_a_machine(tmp_path: Path) -> None:
    for file in catalog.RECIPES.iterdir():
        assert not re.search(r"/root|/work|proxy|ca-bundle", file.read_text()), file


def test_a_change_of_the_recipe_asks_for_a_new_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = catalog.images()[1]
    before = image.mark()
    assert before == image.mark()
    assert re.fullmatch(r"built-[0-9a-f]{16}", before)
    monkeypatch.setattr(catalog, "RECIPES", tmp_path)
    (tmp_path / f"{image.recipe}.Dockerfile").write_text("FROM scratch\n")
    assert image.mark() != before
    assert replace(image, tool="coredns").mark() != image.mark()


def test_other_packages_ask_for_a_new_build() -> None:
    (image,) = (image for image in catalog.images() if image.recipe == "redis")
    assert replace(image, packages=("redis-tools",)).mark() != image.mark()


def test_names_split_into_repository_and_tag() -> None:
    (image,) = catalog.read('[[image]]\nname = "docker.io/library/x:1-y"\nrecipe = "x"\n')
    assert (image.repository, image.tag) == ("docker.io/library/x", "1-y")
    assert image.files == ()


def test_debian_comes_from_where_this_machine_gets_it() -> None:
    listing = "bookworm-updates main http://a/x/\ntrixie main http://b/\nbookworm main http://c/d/"
    assert base.choose_mirror(listing) == "http://c/d"


def test_without_a_word_in_the_machines_configuration_it_is_the_public_one() -> None:
    assert base.choose_mirror("") == "http://deb.debian.org/debian"
    assert base.choose_mirror("bookworm contrib http://c/") == "http://deb.debian.org/debian"


def test_builds_find_public_names_in_the_mirror() -> None:
    text = build.registries("1.2.3.4:5000")
    assert 'location = "docker.io"' in text
    assert 'location = "1.2.3.4:5000/docker.io"\ninsecure = true' in text


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        (["/etc/distribution/config.yml"], "registry serve /etc/distribution/config.yml"),
        (["serve", "/x"], "registry serve /x"),
        (["garbage-collect", "/x"], "registry garbage-collect /x"),
        (["echo", "registry"], "registry"),
    ],
)
def test_the_registrys_image_takes_what_the_public_one_takes(
    tmp_path: Path, given: list[str], runs: str
) -> None:
    fake = tmp_path / "registry"
    fake.write_text('#!/bin/sh\necho registry "$@"\n')
    fake.chmod(0o755)
    script = catalog.RECIPES / "registry.sh"
    done = subprocess.run(
        ["sh", str(script), *given],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == runs


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        (["/etc/redis/redis.conf"], "server /etc/redis/redis.conf"),
        (["--port", "1"], "server --port 1"),
        (["redis-server", "/x"], "server /x"),
        (["echo", "other"], "other"),
    ],
)
def test_the_online_stores_image_takes_what_the_public_one_takes(
    tmp_path: Path, given: list[str], runs: str
) -> None:
    fake = tmp_path / "redis-server"
    fake.write_text('#!/bin/sh\necho server "$@"\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["sh", str(catalog.RECIPES / "redis.sh"), *given],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == runs


def test_the_images_of_the_platforms_components_are_in_the_mirror() -> None:
    mirrored = {image.name for image in catalog.images()}
    sources = [file.read_text() for file in (paths.repository() / "components").glob("*.py")]
    named = {name for text in sources for name in re.findall(r'^_IMAGE = "(\S+)"$', text, re.M)}
    assert "docker.io/library/redis:7.0.15" in named
    # Grafana's sources are in no registry of packages; a lab's stack does not ask for it.
    assert named - mirrored == {"docker.io/grafana/grafana:12.4.5"}


def test_an_image_tagged_by_a_version_of_debians_refuses_another_version() -> None:
    (redis,) = (image for image in catalog.images() if image.recipe == "redis")
    assert f"v={redis.tag} " in redis.dockerfile.read_text()


def test_what_a_killed_build_left_goes_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_CACHE", str(tmp_path))
    (tmp_path / "image-killed" / "storage").mkdir(parents=True)
    monkeypatch.setattr(build, "missing", lambda mirror: catalog.images()[:1])
    monkeypatch.setattr(build, "_build", lambda image, mirror: None)
    build.ensure("mirror:5000", lambda text: None)
    assert list(tmp_path.glob("image-*")) == []
