"""The image mirror: a registry inside the lab that holds what public registries would give."""

import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab import images, paths, toolchain
from lab.cluster.identity import Lab
from lab.cluster.processes import Part
from lab.errors import LabError


def registry(lab: Lab) -> Part:
    return part(lab.folder, lab.mirror, inside=True)


def part(folder: Path, address: str, *, inside: bool) -> Part:
    """A registry at `address` over the shared storage, configured below `folder`.

    Labs share one storage: what it holds is addressed by content and never deleted.
    """
    storage = paths.cache() / "registry"
    storage.mkdir(parents=True, exist_ok=True)
    file = folder / "mirror.yaml"
    file.write_text(yaml.safe_dump(configuration(address, storage)))
    command = [str(toolchain.binary("registry")), "serve", str(file)]
    return Part("mirror", command, {"OTEL_TRACES_EXPORTER": "none"}, inside)


def configuration(address: str, storage: Path) -> dict[str, Any]:
    """The registry's configuration."""
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": False},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": address, "secret": secrets.token_hex(16)},
    }


def fill(say: Callable[[str], None]) -> None:
    """Builds what the shared storage lacks, through a registry that runs just for that."""
    toolchain.ensure(["registry"])
    with tempfile.TemporaryDirectory() as work, socket.create_server(("127.0.0.1", 0)) as line:
        address = f"127.0.0.1:{line.getsockname()[1]}"
        line.close()
        registry = part(Path(work), address, inside=False)
        running = subprocess.Popen(registry.command, stderr=subprocess.DEVNULL)
        try:
            _wait(address)
            images.ensure(address, say)
        finally:
            running.terminate()
            running.wait()


def _wait(address: str) -> None:
    host, port = address.split(":")
    for _ in range(100):
        try:
            socket.create_connection((host, int(port))).close()
            return
        except OSError:
            time.sleep(0.1)
    raise LabError(f"a registry at {address} does not start; see `registry serve` by hand")
