"""Who we are to an API server: what a kubeconfig says, or what a command of its own answers."""

import json
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lab.standins.provider import ProviderError

_PATIENCE: Final = 60  # seconds
_EARLY: Final = timedelta(seconds=30)
_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class Command:
    """A login by command (`exec`), asked again when its answer is about to expire.

    Calling it gives the headers of a request; raises ProviderError that names the command.
    """

    def __init__(
        self, wanted: Mapping[str, Any], folder: Path, source: str, tls: ssl.SSLContext | None
    ) -> None:
        if wanted.get("provideClusterInfo"):
            raise ProviderError(
                f"{source}: provideClusterInfo is not covered by the lab's stand-in for kubernetes"
            )
        if wanted.get("apiVersion") not in _VERSIONS:
            found = wanted.get("apiVersion")
            raise ProviderError(f"{source}: exec is {found!r}, need one of {', '.join(_VERSIONS)}")
        self._wanted, self._folder, self._source, self._tls = wanted, folder, source, tls
        self._headers: dict[str, str] | None = None
        self._expires: datetime | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Mapping[str, str]:
        with self._lock:
            late = self._expires is not None and datetime.now(UTC) > self._expires - _EARLY
            if self._headers is None or late:
                self._headers = self._ask()
            return self._headers

    def _ask(self) -> dict[str, str]:
        status = self._answer().get("status") or {}
        expires = status.get("expirationTimestamp")
        self._expires = datetime.fromisoformat(expires) if expires else None
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if certificate and key and self._tls:
            load(self._tls, certificate.encode(), key.encode())
        if token := status.get("token"):
            return {"Authorization": f"Bearer {token}"}
        if not (certificate and key):
            raise ProviderError(f"{self._name()} answered neither a token nor a certificate")
        return {}

    def _answer(self) -> dict[str, Any]:
        version = self._wanted["apiVersion"]
        asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        given = {each["name"]: each["value"] for each in self._wanted.get("env") or []}
        command = str(self._wanted["command"])
        if "/" in command:  # as kubectl reads it
            command = str(self._folder / command)
        try:
            done = subprocess.run(
                [command, *(self._wanted.get("args") or [])],
                env={**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            hint = self._wanted.get("installHint")
            raise ProviderError(f"{self._name()}: {error}{f'; {hint}' if hint else ''}") from None
        if done.returncode:
            raise ProviderError(f"{self._name()} failed: {done.stderr.strip()}")
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("apiVersion") != version:
            raise ProviderError(f"{self._name()} answered no ExecCredential of {version}")
        return answer

    def _name(self) -> str:
        return f"{self._source}: the login command {self._wanted['command']!r}"


def load(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Makes the context show a client's certificate; both in PEM."""
    # ssl reads keys from files only; this one is readable to us alone, and gone at once.
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)
