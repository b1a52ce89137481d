"""A dependency that does not answer: `ferry` ends in time, says who it was, and moves nothing."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from promotion import aliases, amazon, copying, images, verify
from promotion.cli import app
from promotion.models import ModelRegistry
from promotion.refusals import DependencyDown
from promotion.stack import Stack
from tests.unit.two_stacks import MODEL, World
from tests.unit.two_stacks import world as make

REAL_DIGEST, REAL_SKOPEO, REAL_BUCKET = images.digest, copying._skopeo, Stack.bucket
BOUND = 20  # seconds: with the shortest of timeouts, and a machine that is busy
PAGE = b"<html><body>Sign in</body></html>"


class Page(BaseHTTPRequestHandler):
    """A sign-in page, or what a proxy says of a server that it cannot reach."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(PAGE)

    do_POST = do_PUT = do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class BadGateway(Page):
    status = 502


@pytest.fixture(params=["down", "hanging", "answering HTML", "behind a bad gateway"])
def how(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def broken(how: str) -> Iterator[str]:
    """The URL of a real TCP server that is no such dependency."""
    with ExitStack() as ends:
        if how in ("down", "hanging"):
            server = ends.enter_context(socket.socket())
            server.bind(("127.0.0.1", 0))
            if how == "hanging":
                server.listen(64)  # the kernel takes the connection, and nobody answers
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
            return
        page = Page if how == "answering HTML" else BadGateway
        http = ends.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), page))
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        ends.callback(http.shutdown)
        yield f"http://127.0.0.1:{http.server_address[1]}"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Version 1 serves in dev; version 2 is built, and neither pinned nor promoted."""
    made = make(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    made.serve(1)
    made.build(2)
    return made


def ferry(*arguments: str) -> Result:
    began = time.monotonic()
    ended = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert time.monotonic() - began < BOUND
    return ended


def nothing_moved(world: World, act: Callable[[], None]) -> None:
    """The stack files are as before, and no record says that anything was moved."""
    files = [world.folder / f"Pulumi.{name}.yaml" for name in ("dev", "prod")]
    before = [file.read_text() for file in files]
    act()
    assert [file.read_text() for file in files] == before
    assert "moved" not in {each.outcome for each in world.records("prod")}


def mlflow_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_TRACKING_USERNAME": "u",
        "MLFLOW_TRACKING_PASSWORD": "p",
    }
    for name, value in {
        **told,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Stack, "environment", lambda self: told)
    for module in (aliases, verify):
        monkeypatch.setattr(module, "ModelRegistry", ModelRegistry)


def test_without_the_model_registry_no_version_is_pinned(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    mlflow_at(broken, monkeypatch)

    def pin() -> None:
        refused = ferry("pin", MODEL, "--version", "2")
        assert refused.exit_code == 5, refused.stderr
        assert f"MLflow at {broken} does not answer" in refused.stderr

    nothing_moved(world, pin)


def test_a_promotion_does_not_need_the_model_registry(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    mlflow_at(broken, monkeypatch)
    done = ferry("promote", MODEL, "--to", "prod")
    assert done.exit_code == 0, done.stderr
    assert world.pin() == world.pin("dev")


def test_a_delivery_without_the_model_registry_serves_and_says_what_is_left_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    mlflow_at(broken, monkeypatch)
    assert ferry("promote", MODEL, "--to", "prod").exit_code == 0
    done = ferry("deliver", "--stack", "prod")
    assert done.exit_code == 0, done.stderr
    assert f"champion are not moved yet: MLflow at {broken} does not answer" in done.stderr
    assert world.served["prod"] == {MODEL: world.pin("dev")}


def test_without_the_image_registry_nothing_is_promoted(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(images, "digest", REAL_DIGEST)
    monkeypatch.setattr(images, "_TIMEOUT", 1)
    elsewhere(world, monkeypatch, registry={"url": broken})

    def promote() -> None:
        refused = ferry("promote", MODEL, "--to", "prod")
        assert refused.exit_code == 5, refused.stderr
        assert broken.removeprefix("http://") in refused.stderr
        assert world.records("prod")[-1].outcome == "failed"

    nothing_moved(world, promote)


def test_without_the_bucket_nothing_is_promoted(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str, how: str
) -> None:
    monkeypatch.setattr(Stack, "bucket", REAL_BUCKET)
    monkeypatch.setattr(Stack, "_keys", lambda self: dict.fromkeys(KEYS, "k"))
    monkeypatch.setattr(amazon, "SECONDS", 1)
    place = {"name": "b", "endpoint": broken, "region": "us-east-1"}
    elsewhere(world, monkeypatch, bucket=place)

    def promote() -> None:
        refused = ferry("promote", MODEL, "--to", "prod")
        # A page in the place of evidence is evidence that is not the pinned one.
        code, said = (3, "the pin wants") if how == "answering HTML" else (5, "the bucket does not")
        assert refused.exit_code == code, refused.stderr
        assert said in refused.stderr

    nothing_moved(world, promote)


KEYS = ("aws_access_key_id", "aws_secret_access_key")


def elsewhere(world: World, monkeypatch: pytest.MonkeyPatch, **outputs: Any) -> None:  # noqa: ANN401
    """Both stacks tell of another place."""
    known = world.outputs

    def told(name: str) -> Any:  # noqa: ANN401
        found = known(name)
        return type(found).read({**found.model_dump(by_alias=True), **outputs})

    monkeypatch.setattr(world, "outputs", told)


def test_a_copy_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "skopeo"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(copying, "_PATIENCE", 0.2)
    with pytest.raises(DependencyDown, match=r"`skopeo copy` was given up after 0\.2 s"):
        REAL_SKOPEO("copy")
