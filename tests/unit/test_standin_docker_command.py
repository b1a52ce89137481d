"""How `docker` is called, by a script that plays it; and what a registry is asked."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.standins import image_registry, reference
from lab.standins.docker_command import Docker
from lab.standins.provider import ProviderError

NAME = reference.parse("r.test/a/b:1")
SCRIPT = """#!/bin/sh
echo "$@" >> {folder}/calls
env > {folder}/environment
cat > {folder}/typed
{body}
"""


@dataclass
class Played:
    """A script in place of docker, and what it was told."""

    folder: Path

    def does(self, body: str) -> None:
        script = self.folder / "docker"
        script.write_text(SCRIPT.format(folder=self.folder, body=body))
        script.chmod(0o755)

    def told(self, what: str) -> str:
        return (self.folder / what).read_text()


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    played = Played(tmp_path)
    played.does("echo said")
    return played


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def docker(shown: list[str], played: Played) -> Iterator[Docker]:
    with Docker(shown.append, threading.Event()) as docker:
        yield docker


def test_a_password_is_typed_and_its_folder_does_not_outlive_the_build(
    played: Played, shown: list[str]
) -> None:
    with Docker(shown.append, threading.Event()) as docker:
        docker.login("r.test", "me", "pass-word")
        assert played.told("calls") == "login -u me --password-stdin r.test\n"
        assert played.told("typed") == "pass-word"
        variables = dict(line.split("=", 1) for line in played.told("environment").splitlines())
        assert "pass-word" not in str(variables)
        folder = Path(variables["DOCKER_CONFIG"])
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    assert shown == ["said"]


def test_build_arguments_are_in_no_command_line(docker: Docker, played: Played) -> None:
    build = {"args": {"TOKEN": "word"}, "target": "last", "platform": "linux/amd64"}
    docker.build(NAME, Path("context"), Path("context/File"), build, {"l": "v"})
    assert played.told("calls") == (
        "build --tag=r.test/a/b:1 --file=context/File --target=last --platform=linux/amd64 "
        "--label=l=v --build-arg=TOKEN context\n"
    )
    assert "TOKEN=word\n" in played.told("environment")
    assert "DOCKER_CONFIG" not in played.told("environment")


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("r.test/a/b:1", ["x@sha256:1", "r.test/a/b@sha256:2"]),
        ("a", ["library/a@sha256:1", "docker.io/library/a@sha256:2"][1:]),
        ("u/a", ["r.test/u/a@sha256:1", "u/a@sha256:2"]),
    ],
)
def test_the_digest_is_that_of_the_repository(
    docker: Docker, played: Played, name: str, listed: list[str]
) -> None:
    played.does(f"echo '{json.dumps(listed)}'")
    assert docker.push(reference.parse(name).tagged) == "sha256:2"


def test_a_digest_that_docker_does_not_know_is_an_error(docker: Docker, played: Played) -> None:
    played.does("echo null")
    with pytest.raises(ProviderError, match="does not know its digest"):
        docker.push(NAME)


def test_a_failure_shows_the_last_lines(docker: Docker, played: Played) -> None:
    played.does("seq 1 50; echo wrong >&2; exit 1")
    with pytest.raises(ProviderError, match=r"docker push failed:\n22\n(.|\n)*\nwrong$"):
        docker.push(NAME)
    with pytest.raises(ProviderError, match=r"docker image inspect r.test/a/b:1 failed:\nwrong"):
        docker.image(NAME)


def test_progress_is_shown_at_a_pace_that_can_be_read(
    docker: Docker, played: Played, shown: list[str]
) -> None:
    played.does("echo; seq 1 50; sleep 1.2; echo later; echo again")
    docker.login("r.test", "me", "word")
    assert shown == ["1", "later"]


def test_a_cancelled_build_ends(played: Played, shown: list[str]) -> None:
    cancelled = threading.Event()
    played.does("echo started; exec sleep 60")
    docker = Docker(lambda _: cancelled.set(), cancelled)
    begun = time.monotonic()
    with docker, pytest.raises(ProviderError, match="push was cancelled"):
        docker.push(NAME)
    assert time.monotonic() - begun < 30


def test_without_a_docker_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProviderError, match=r"no `docker` on PATH .*make -s env"):
        Docker(print, threading.Event()).__enter__()


# The registry's API


@dataclass
class Registry:
    """A registry that wants a token, and the requests it got."""

    address: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    failing: int = 0


@pytest.fixture
def registry() -> Iterator[Registry]:
    played = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorization = self.headers["Authorization"]
            played.asked.append((self.path, authorization))
            if played.failing:
                played.failing -= 1
                self.answer(404, {})
            elif self.path.startswith("/token?"):
                self.answer(200, {"token": "t0ken"})
            elif authorization != "Bearer t0ken":
                realm = f'Bearer realm="http://{played.address}/token",service="s",scope="x"'
                self.answer(401, {}, {"WWW-Authenticate": realm})
            elif self.path.endswith("/manifests/1"):
                digest = {"Docker-Content-Digest": "sha256:2"}
                self.answer(200, {"config": {"digest": "sha256:3"}}, digest)
            else:
                self.answer(200, {"config": {"Labels": {"l": "v"}}})

        def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:  # noqa: ANN401
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        played.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield played
        server.shutdown()
        thread.join()


def test_a_pushed_image_is_found_with_its_labels(registry: Registry) -> None:
    name = reference.parse(f"{registry.address}/a/b:1")
    found = image_registry.find(name, ("me", "word"))
    assert found == image_registry.Pushed("sha256:2", "sha256:3", {"l": "v"})
    basic = "Basic " + base64.b64encode(b"me:word").decode()
    assert registry.asked[:3] == [
        ("/v2/a/b/manifests/1", basic),
        ("/token?service=s&scope=x", basic),
        ("/v2/a/b/manifests/1", "Bearer t0ken"),
    ]


def test_what_cannot_be_seen_is_not_there(registry: Registry) -> None:
    registry.failing = 1
    assert image_registry.find(reference.parse(f"{registry.address}/a/b:1"), None) is None
    assert image_registry.find(reference.parse("127.0.0.1:1/a"), None) is None


def test_a_registry_that_is_just_starting_is_waited_for(registry: Registry) -> None:
    registry.failing = 2
    pauses: list[float] = []
    image_registry.wait(registry.address, pauses.append)
    assert pauses == [1, 1]


def test_a_registry_is_not_waited_for_for_ever() -> None:
    pauses: list[float] = []
    image_registry.wait("127.0.0.1:1", pauses.append)
    assert len(pauses) == 30


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("r.test", "https://r.test/v2/"),
        ("plain.test", "http://plain.test/v2/"),
        ("docker.io", "https://registry-1.docker.io/v2/"),
    ],
)
def test_only_declared_registries_speak_http(
    host: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def get(url: str, **_: object) -> SimpleNamespace:
        asked.append(url)
        return SimpleNamespace(status_code=401)

    monkeypatch.setattr("requests.get", get)
    monkeypatch.setenv("FERRY_REGISTRY_INSECURE", "plain.test")
    image_registry.wait(host)
    assert asked == [url]
