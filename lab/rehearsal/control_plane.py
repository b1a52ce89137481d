"""A real Kubernetes API with its controllers and no node: the test plays the kubelet."""

import contextlib
import secrets
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab import toolchain

_PATIENCE = 60  # seconds


@dataclass(frozen=True)
class ControlPlane:
    """Where it answers; `kubeconfig` is a file."""

    server: str
    kubeconfig: Path


@contextlib.contextmanager
def control_plane(directory: Path) -> Generator[ControlPlane]:
    """Runs etcd, kube-apiserver and kube-controller-manager on free ports, in `directory`."""
    token = secrets.token_hex(16)
    (directory / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (directory / "tokens.csv").chmod(0o600)
    _write_key(directory / "accounts.key")
    store, peer, port = _free_ports(3)
    server = f"https://127.0.0.1:{port}"
    kubeconfig = directory / "kubeconfig"
    _write_kubeconfig(kubeconfig, server, token)
    with contextlib.ExitStack() as running:
        start = _Starter(directory, running)
        start("etcd", *_etcd(directory, store, peer))
        start("kube-apiserver", *_api_server(directory, store, port))
        _await_ready(server, token)
        start(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            # The node's heartbeat is not played.
            "--controllers=*,-node-lifecycle-controller",
            "--leader-elect=false",
            "--secure-port=0",
            f"--service-account-private-key-file={directory / 'accounts.key'}",
            "--use-service-account-credentials=false",
        )
        yield ControlPlane(server, kubeconfig)


class _Starter:
    def __init__(self, directory: Path, running: contextlib.ExitStack) -> None:
        self._directory = directory
        self._running = running

    def __call__(self, name: str, *arguments: str) -> None:
        log = self._running.enter_context((self._directory / f"{name}.log").open("w"))
        # Not even a killed test run leaves them behind.
        command = ["setpriv", "--pdeathsig=KILL", str(toolchain.binary(name)), *arguments]
        process = subprocess.Popen(command, cwd=self._directory, stdout=log, stderr=log)
        self._running.callback(_end, process)


def _etcd(directory: Path, store: int, peer: int) -> list[str]:
    return [
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{store}",
        f"--advertise-client-urls=http://127.0.0.1:{store}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]


def _api_server(directory: Path, store: int, port: int) -> list[str]:
    key = directory / "accounts.key"
    return [
        f"--etcd-servers=http://127.0.0.1:{store}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={directory}",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://test",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/16",
    ]


def _await_ready(server: str, token: str) -> None:
    request = urllib.request.Request(  # noqa: S310 (on loopback)
        f"{server}/readyz", headers={"Authorization": f"Bearer {token}"}
    )
    unverified = ssl._create_unverified_context()  # noqa: S323 (its certificate is just made)
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, context=unverified, timeout=5):  # noqa: S310
                return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def _write_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def _write_kubeconfig(path: Path, server: str, token: str) -> None:
    entry = {"name": "test"}
    # The API server signs its own certificate when it starts.
    cluster = {"server": server, "certificate-authority": str(path.parent / "apiserver.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [entry | {"cluster": cluster}],
        "users": [entry | {"user": {"token": token}}],
        "contexts": [entry | {"context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(yaml.safe_dump(config))


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
