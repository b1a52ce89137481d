"""A stack that is watched, on a lab of its own: its program, its receivers, and how to ask it."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab import paths, toolchain
from tests.lab.project import Project

LAB = "mon"
MAIL = f"receivers.{LAB}-jobs.svc"
WATCHED = Path(__file__).parent / "watched"


class Stack:
    """What the folder `watched` describes, up."""

    def __init__(self, folder: Path) -> None:
        self._kubeconfig = str(paths.state(LAB) / "kubeconfig")
        self.project = Project(folder, {"KUBECONFIG": self._kubeconfig})
        shutil.copytree(WATCHED, self.project.folder, dirs_exist_ok=True)
        _certificate(self.project.folder)
        self.project.up()
        self.ready = time.monotonic()

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run(
            [toolchain.binary("kubectl"), f"--kubeconfig={self._kubeconfig}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What Prometheus answers, through the stack's Ingress."""
        address = f"{self.project.output('url')}/api/v1/query"
        answer = requests.get(address, params={"query": query}, timeout=5)
        answer.raise_for_status()
        return answer.json()["data"]["result"]

    def python(self, pod: str, namespace: str, code: str) -> str:
        """What some code prints in a pod."""
        inside = (pod, f"--namespace={LAB}-{namespace}", "--")
        return self.kubectl("exec", *inside, "python3", "-c", code)

    def received(self) -> list[dict[str, Any]]:
        """Every message that the receivers got, oldest first."""
        code = (
            "import urllib.request as r; print(r.urlopen('http://localhost:8080').read().decode())"
        )
        return json.loads(self.python("receivers", "jobs", code))

    def breaks(self, broken: bool) -> None:
        """Makes the rules of the program fire, or end."""
        address = f"http://localhost:8080/{int(broken)}"
        self.python(
            "stub-models", "models", f"import urllib.request as r; r.urlopen('{address}', b'')"
        )


def eventually(check: Callable[[], Any], until: float, shown: Callable[[], Any]) -> None:
    """Returns when `check` says so; what is `shown` otherwise explains why it does not."""
    while not check():
        assert time.monotonic() < until, shown()
        time.sleep(0.5)


def _certificate(folder: Path) -> None:
    """Writes tls.crt and tls.key of the mail server, which its clients have to verify."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MAIL)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(MAIL)]), critical=False)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
