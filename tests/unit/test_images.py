"""Images are named by the digest that the registry answers; passwords stay off command lines."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from promotion import images
from promotion.refusals import DependencyDown, GateRefused

DIGEST = "sha256:" + "1" * 64


class Registry(BaseHTTPRequestHandler):
    """Has credit-default:v1, is ill about credit-default:ill, and nothing else."""

    def do_HEAD(self) -> None:
        known = self.path == "/v2/credit-default/manifests/v1"
        ill = self.path.endswith("/ill")
        authorised = self.headers["Authorization"] == "Basic dTpw"  # u:p
        self.send_response(401 if not authorised else 200 if known else 503 if ill else 404)
        if known:
            self.send_header("Docker-Content-Digest", DIGEST)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_tag_gives_the_digest_that_the_registry_answers(registry: str) -> None:
    assert images.digest(registry, "credit-default", "v1", ("u", "p")) == DIGEST


def test_an_image_that_is_not_there_has_no_digest(registry: str) -> None:
    assert images.digest(registry, "credit-default", "v2", ("u", "p")) is None


@pytest.mark.parametrize(("tag", "auth"), [("ill", ("u", "p")), ("v1", ("u", "wrong"))])
def test_a_registry_that_refuses_is_no_missing_image(
    registry: str, tag: str, auth: tuple[str, str]
) -> None:
    with pytest.raises(DependencyDown, match=r"answers (503|401)"):
        images.digest(registry, "credit-default", tag, auth)


def test_a_registry_that_is_down_is_named() -> None:
    with pytest.raises(DependencyDown, match=r"127\.0\.0\.1:1 does not answer"):
        images.digest("http://127.0.0.1:1", "credit-default", "v1", ("u", "p"))


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that writes down its arguments and its input, and fails at `push`."""
    script = tmp_path / "docker"
    script.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/input\n[ "$1" != push ]\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_password_travels_on_standard_input_only(docker: Path) -> None:
    images.login("registry.test", "ferry", "s3cret")
    assert (docker / "input").read_text() == "s3cret"
    assert "s3cret" not in (docker / "arguments").read_text()


def test_a_failed_push_is_a_refusal(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(GateRefused, match="`docker push` failed with exit code 1"):
        images.push("registry.test/credit-default:v1")


def test_without_docker_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyDown, match="make -s env"):
        images.push("registry.test/credit-default:v1")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "app").mkdir(parents=True)
    for command in (
        ("init", "--quiet"),
        ("config", "user.name", "n"),
        ("config", "user.email", "n@ferry.test"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "app" / "code.py").write_text("committed\n")
    (folder / "other.txt").write_text("not for the image\n")
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "m"], cwd=folder, check=True)
    return folder


def test_the_context_holds_the_commit_and_not_the_working_tree(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "app" / "code.py").write_text("edited\n")
    (repository / "app" / "untracked.py").touch()
    into = tmp_path / "context"
    into.mkdir()
    images.context("HEAD", ("app",), repository, into)
    assert [path.name for path in sorted(into.rglob("*"))] == ["app", "code.py"]
    assert (into / "app" / "code.py").read_text() == "committed\n"


def test_a_commit_that_is_not_here_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(GateRefused, match=r"commit 1{40} can't be read here .*fetch it first"):
        images.context("1" * 40, ("app",), repository, tmp_path)
