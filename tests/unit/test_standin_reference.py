"""Image references are read as docker reads them."""

import pytest

from lab.standins.reference import parse, server


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("versity/versitygw:v1", "docker.io/versity/versitygw:v1"),
        ("docker.io/python:3", "docker.io/library/python:3"),
        ("localhost/a/b", "localhost/a/b:latest"),
        ("registry.dev.ferry.test/a_b/c--d:1.0_x", "registry.dev.ferry.test/a_b/c--d:1.0_x"),
        ("10.0.0.1:5000/docker.io/a", "10.0.0.1:5000/docker.io/a:latest"),
        ("a@sha256:" + "0" * 64, "docker.io/library/a@sha256:" + "0" * 64),
        ("h:1/a:t@sha256:" + "f" * 64, "h:1/a:t@sha256:" + "f" * 64),
    ],
)
def test_a_reference_is_completed(text: str, complete: str) -> None:
    assert str(parse(text).tagged) == complete


def test_a_completed_reference_stays_as_it_is() -> None:
    once = parse("a/b").tagged
    assert parse(str(once)) == once
    assert once.repository == "docker.io/a/b"


@pytest.mark.parametrize("text", ["", "Upper", "a//b", "a:", "a:t!", "h:1/", "a@sha256:12", "a@"])
def test_what_is_no_reference_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no image reference"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:5000/a", True),
        ("127.1.2.3/a", True),
        ("localhost:5000/a", True),
        ("127.0.0.1.example.com/a", False),
        ("localhost.example.com/a", False),
        ("a", False),
    ],
)
def test_only_this_machine_is_loopback(text: str, loopback: bool) -> None:
    assert parse(text).is_loopback is loopback


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("http://r.test:80/x", "r.test:80"),
        ("r.test", "r.test"),
    ],
)
def test_a_registry_may_be_given_as_a_url(address: str, host: str) -> None:
    assert server(address) == host


def test_a_registry_without_a_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="names no registry"):
        server("https:///x")
