"""What a rehearsal runs beside the API server: an emulated AWS, and a registry for images."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import bcrypt
import boto3
import trustme
import yaml

from lab import paths, toolchain
from lab.cluster.mirror import configuration
from lab.errors import LabError

KEY = "rehearsal"
"""Of the emulated account, both parts of it: nobody asks for another."""
AUTHORITY = "authority.pem"
"""Whose certificates what stands for ECR has."""
_PATIENCE = 60  # seconds


@contextlib.contextmanager
def emulated_aws(folder: Path, account: str) -> Generator[str]:
    """The URL of an AWS in memory, whose account is empty and has that number."""
    emulator = paths.repository() / "app" / ".venv" / "bin" / "moto_server"
    if not emulator.exists():
        raise LabError(f"{emulator} is missing: `make app/.venv`")
    address = free_address()
    host, port = address.split(":")
    variables = {
        "MOTO_ACCOUNT_ID": account,
        # What Amazon calls its own policies, so that a name it has not is refused.
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    }
    command = [str(emulator), "--host", host, "--port", port]
    with running(command, address, folder / "aws.log", variables):
        yield f"http://{address}"


def default_security_group(aws: str, region: str) -> str:
    """The id of one that every account has from its beginning, in a network of its own."""
    ec2 = client("ec2", aws, region)
    return ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]


def versioned_bucket(aws: str, region: str, name: str) -> None:
    s3 = client("s3", aws, region)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def client(service: str, aws: str, region: str) -> Any:  # noqa: ANN401 - boto3 has no types of its own
    """Of a service of the emulated AWS at that URL."""
    login = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
    return boto3.client(service, endpoint_url=aws, region_name=region, **login)


@contextlib.contextmanager
def amazons_registry(folder: Path, account: str) -> Generator[str]:
    """Host and port of an empty registry as ECR is: behind TLS, and with the login ECR gives.

    Its authority is in the file AUTHORITY of the folder. The host is this machine by a name with
    which Docker speaks TLS, as it does not with 127.0.0.1.
    """
    authority, host = trustme.CA(), "0.0.0.0"  # noqa: S104 - what is called, not listened at
    authority.cert_pem.write_to_path(str(folder / AUTHORITY))
    issued = authority.issue_cert(host)
    issued.private_key_pem.write_to_path(str(folder / "registry.key"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "registry.pem"))
    tls = {"key": str(folder / "registry.key"), "certificate": str(folder / "registry.pem")}
    login = users(folder / "registry.users", "AWS", f"{account}-auth-token")
    with image_registry(folder, http={"tls": tls}, auth=login) as address:
        yield address.replace("127.0.0.1", host)


@contextlib.contextmanager
def image_registry(folder: Path, **more: Mapping[str, Any]) -> Generator[str]:
    """Host and port of an empty registry; `more` is of its configuration, by section."""
    address = free_address()
    settings = configuration(address, folder / "images")
    merged = {name: {**settings.get(name, {}), **section} for name, section in more.items()}
    file = folder / "registry.yaml"
    file.write_text(yaml.safe_dump(settings | merged))
    command = [str(toolchain.binary("registry")), "serve", str(file)]
    variables = {"OTEL_TRACES_EXPORTER": "none"}
    with running(command, address, folder / "registry.log", variables):
        yield address


def users(file: Path, user: str, password: str) -> dict[str, Any]:
    """What a registry's configuration says of who may in: one, who is written to the file."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    file.write_text(f"{user}:{hashed}\n")
    return {"htpasswd": {"realm": "registry", "path": str(file)}}


@contextlib.contextmanager
def running(
    command: list[str], address: str, log: Path, variables: dict[str, str] | None = None
) -> Generator[None]:
    """The process, once `address` answers; it ends with the block, or with this process."""
    host, port = address.split(":")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *command],
            env={**os.environ, **(variables or {})},
            stdout=stream,
            stderr=stream,
        )
    try:
        until = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise LabError(f"{Path(command[0]).name} does not answer; see {log}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def free_address() -> str:
    """Of this machine alone."""
    return f"127.0.0.1:{free_port()}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
