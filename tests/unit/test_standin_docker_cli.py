"""The lab's `docker`: what it refuses, what it prints, what it tells buildah."""

import tomllib
from pathlib import Path

import pytest

from lab.standins import buildah, docker_cli
from lab.standins.template import render

IMAGE = {"Id": "sha256:1", "RepoDigests": ["a@sha256:2", "b@sha256:3"], "Config": {"Labels": None}}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "x"], "'run'"),
        (["build", "--squash", "."], "--squash"),
        (["build", "-"], "'-'"),
        (["build", "--fil", "x", "."], "--fil"),
        (["image", "prune"], "'prune'"),
        (["login", "-u", "a", "r.test"], "--password-stdin"),
        (["login", "-u", "a", "-p", "b", "r.test"], "-p"),
        ([], "COMMAND"),
    ],
)
def test_what_is_not_covered_ends_with_docker_s_own_code(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert docker_cli.main(arguments) == 125
    message = capsys.readouterr().err
    assert named in message
    assert docker_cli.NAME in message


def test_a_malformed_reference_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Dockerfile").touch()
    assert docker_cli.main(["build", "-t", "Upper", str(tmp_path)]) == 125
    assert "'Upper' is no image reference" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Id}}", "sha256:1"),
        ("{{ json .Id }}", '"sha256:1"'),
        ("{{json .RepoDigests}}", '["a@sha256:2", "b@sha256:3"]'),
        ("{{index .RepoDigests 1}}", "b@sha256:3"),
        ("{{json .Config.Labels}}", "null"),
    ],
)
def test_a_template_shows_a_part(template: str, text: str) -> None:
    assert render(template, IMAGE) == text


def test_a_template_names_what_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"no \.Config\.Nothing"):
        render("{{.Config.Nothing}}", IMAGE)
    with pytest.raises(ValueError, match="no item 2"):
        render("{{index .RepoDigests 2}}", IMAGE)
    with pytest.raises(ValueError, match="range"):
        render("{{range .RepoDigests}}{{.}}{{end}}", IMAGE)


def test_a_mirror_serves_public_names_and_falls_back_to_them() -> None:
    written = tomllib.loads(buildah.registries("10.0.0.1:5000", ["r.test"]))
    found = {each["location"]: each for each in written["registry"]}
    assert found["docker.io"]["mirror"] == [
        {"location": "10.0.0.1:5000/docker.io", "insecure": True}
    ]
    assert set(found) == {*buildah.MIRRORED, "10.0.0.1:5000", "r.test"}
    assert [host for host, each in found.items() if each.get("insecure")] == [
        "10.0.0.1:5000",
        "r.test",
    ]


def test_without_a_mirror_nothing_is_redirected() -> None:
    assert tomllib.loads(buildah.registries(None, [])) == {
        "unqualified-search-registries": ["docker.io"]
    }


def test_plain_registries_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERRY_REGISTRY_INSECURE", "a.test, b.test:80,,")
    assert buildah.insecure_registries() == {"a.test", "b.test:80"}


def test_a_build_gets_pip_s_connection_and_nothing_else_of_the_host(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("[global]\nindex-url = https://one/%40\ntarget = /somewhere\ntimeout=5\n")
    second.write_text(
        "[global]\nextra_index_url =\n  https://two\n  https://three\n[install]\nuser = yes\n"
    )
    variables = {"PIP_INDEX_URL": "https://four", "PIP_FIND_LINKS": "/wheels", "HOME": "/home/x"}
    assert buildah.pip_configuration([first, second, tmp_path / "none"], variables) == (
        "[global]\n"
        "index-url = https://four\n"
        "extra-index-url = https://two\n"
        "    https://three\n"
        "timeout = 5\n"
    )
    assert buildah.pip_configuration([], {"HOME": "/home/x"}) == ""
