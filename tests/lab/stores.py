"""Real services on free loopback ports, each with storage of its own: an S3 store, a registry."""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from lab import toolchain
from lab.rehearsal import services
from lab.rehearsal.services import free_address, running


@dataclass(frozen=True)
class Service:
    """Where a service answers, and with whose credentials."""

    address: str
    user: str
    password: str


def objects(store: Service) -> Any:  # noqa: ANN401 - boto3 has no types of its own
    """An S3 store as its owner's boto3 resource."""
    return boto3.resource(
        "s3",
        endpoint_url=f"http://{store.address}",
        aws_access_key_id=store.user,
        aws_secret_access_key=store.password,
        region_name="us-east-1",
    )


@contextlib.contextmanager
def s3_store(folder: Path, users: str = "") -> Generator[Service]:
    """A VersityGW over `folder`, with versioning; `users` is its file of further accounts."""
    service = Service(free_address(), "trial", "trial-secret")
    for name in ("data", "versions", "accounts"):
        (folder / name).mkdir()
    accounts = []
    if users:
        (folder / "accounts" / "users.json").write_text(users)
        accounts = ["--iam-dir", str(folder / "accounts")]
    command = [
        *(str(toolchain.binary("versitygw")), "--port", service.address, "--quiet"),
        *("--access", service.user, "--secret", service.password),
        *accounts,
        *("posix", "--versioning-dir", str(folder / "versions"), str(folder / "data")),
    ]
    with running(command, service.address, folder / "log"):
        yield service


@contextlib.contextmanager
def image_registry(folder: Path, *, locked: bool = False) -> Generator[Service]:
    """A distribution registry over `folder`; `locked`: it asks who you are."""
    user, password = "trial", "trial-password"
    more = {"auth": services.users(folder / "users", user, password)} if locked else {}
    with services.image_registry(folder, **more) as address:
        yield Service(address, user, password)
