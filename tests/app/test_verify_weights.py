"""No model is loaded that its signer did not sign, file by file; the pod says what was wrong."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import MODEL, ROOT, Signed, Trained, sign
from cryptography.hazmat.primitives.asymmetric import ec

from app import signing, weights
from app.serving import server
from app.serving.model import Unfit
from app.serving.verify import verify

Tamper = Callable[[Path, Path], object]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _link(folder: Path, _: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "elsewhere")
    (folder / "model.onnx").symlink_to(folder.parent / "elsewhere")


def _other_key(folder: Path, signature: Path) -> None:
    shutil.rmtree(signature)
    sign(folder, signature)


def _other_signature(folder: Path, signature: Path) -> None:
    """Another key's signature, under the right public key."""
    sign(folder, signature.with_name("other"))
    shutil.copy(signature.with_name("other") / weights.SIGNATURE, signature)


def _hint_forged(folder: Path, signature: Path) -> None:
    """Another key's signature that says it is the right key's."""
    hint = json.loads((signature / weights.SIGNATURE).read_text())["verificationMaterial"]
    _other_signature(folder, signature)
    bundle = json.loads((signature / weights.SIGNATURE).read_text())
    (signature / weights.SIGNATURE).write_text(json.dumps(bundle | {"verificationMaterial": hint}))


FAULTS: dict[str, tuple[Tamper, str]] = {
    "a flipped byte": (lambda m, _: _flip(m / "model.onnx"), "changed: model.onnx"),
    "another threshold": (lambda m, _: _flip(m / "model.json"), "changed: model.json"),
    "a file more": (lambda m, _: (m / "extra").touch(), "not signed: extra"),
    "a file that Git knows": (lambda m, _: (m / ".gitignore").touch(), "not signed: .gitignore"),
    "a file less": (lambda m, _: (m / "golden.json").unlink(), "missing: golden.json"),
    "a name changed": (
        lambda m, _: (m / "golden.json").rename(m / "gold.json"),
        "missing: golden.json; not signed: gold.json",
    ),
    "a link": (_link, "is no regular file"),
    "no signature": (lambda _, s: (s / "signature.json").unlink(), "the model is unsigned"),
    "no key": (lambda _, s: (s / "signer.pem").unlink(), "the model is unsigned"),
    "no signature's folder": (lambda _, s: shutil.rmtree(s), "the model is unsigned"),
    "a folder for a signature": (
        lambda _, s: ((s / "signature.json").unlink(), (s / "signature.json").mkdir()),
        "cannot be read",
    ),
    "another's key and signature": (_other_key, "signer.pem is the key sha256:"),
    "another's signature": (_other_signature, "was signed with the key sha256:"),
    "another's signature under the right hint": (_hint_forged, "is not signed by the key"),
    "a bundle that is none": (
        lambda _, s: (s / "signature.json").write_text("{}"),
        "is no bundle of a model's signature",
    ),
    "a changed bundle": (lambda _, s: _flip(s / "signature.json"), "signature.json"),
}
each_fault = pytest.mark.parametrize(("tamper", "reason"), FAULTS.values(), ids=FAULTS)


@pytest.fixture
def signature(signed: Signed, tmp_path: Path) -> Path:
    """A copy of the signature, to be damaged."""
    return shutil.copytree(signed.folder, tmp_path / "signature")


def test_what_was_signed_verifies(folder: Path, signed: Signed) -> None:
    verify(folder, signed.folder, signed.signer)


@each_fault
def test_what_was_not_signed_so_is_refused_with_the_reason(
    folder: Path, signature: Path, signed: Signed, tamper: Tamper, reason: str
) -> None:
    tamper(folder, signature)
    with pytest.raises(Unfit) as refused:
        verify(folder, signature, signed.signer)
    assert reason in str(refused.value)


def test_the_release_names_the_signer_not_the_image(
    folder: Path, signature: Path, signed: Signed
) -> None:
    """An image that is whole in itself, by a key that nobody reviewed."""
    other = signature.with_name("other")
    verify(folder, other, sign(folder, other))
    with pytest.raises(Unfit, match=f"the release says {signed.signer}"):
        verify(folder, other, signed.signer)


def test_keyless_is_refused_and_says_why(folder: Path, signature: Path) -> None:
    with pytest.raises(Unfit, match="a pod cannot ask Sigstore; sign with a key"):
        verify(folder, signature, weights.KEYLESS)


@pytest.mark.parametrize("curve", [ec.SECP384R1, ec.SECP521R1])
def test_the_larger_curves_verify_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curve: type[ec.EllipticCurve]
) -> None:
    monkeypatch.setattr(ec, "SECP256R1", curve)
    verify(folder, tmp_path / "signature", sign(folder, tmp_path / "signature"))


def test_a_key_of_another_kind_is_refused(folder: Path, signature: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519

    spki = (form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    edwards = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*spki)
    bitcoin = ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(*spki)
    for content, reason in (
        (edwards, "no key of the curves"),
        (bitcoin, "no key of the curves"),
        (b"x", "no public key"),
    ):
        (signature / weights.PUBLIC_KEY).write_bytes(content)
        with pytest.raises(Unfit, match=reason):
            verify(folder, signature, signing.fingerprint(content))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ended:
    """A server's process that ended: how, what it left, and whether it was ever ready."""

    def __init__(self, folder: Path, signature: Path, digest: str, signer: str) -> None:
        log, port = folder.parent / "termination-log", _free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "MODEL_NAME": MODEL.name,
            "MODEL_VERSION": "7",
            "MODEL_WEIGHTS": digest,
            "MODEL_SIGNER": signer,
            "MODEL_FOLDER": str(folder),
            "MODEL_SIGNATURE": str(signature),
            "PORT": str(port),
            "GRPC_PORT": str(_free_port()),
            "TERMINATION_LOG": str(log),
        }
        command = [sys.executable, "-m", "app.serving.server"]
        self.ready = False
        with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
            deadline = time.monotonic() + 30
            while process.poll() is None and not self.ready:
                assert time.monotonic() < deadline
                self.ready = _ready(port)
                time.sleep(0.01)
            process.kill()
        self.code = process.returncode
        self.reason = log.read_text() if log.exists() else ""


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_a_server_with_what_was_signed_becomes_ready(
    folder: Path, signed: Signed, trained: Trained
) -> None:
    assert Ended(folder, signed.folder, trained.weights, signed.signer).ready


@pytest.mark.slow
@each_fault
def test_a_server_with_anything_else_is_never_ready_and_leaves_the_reason(
    folder: Path, signature: Path, signed: Signed, trained: Trained, tamper: Tamper, reason: str
) -> None:
    tamper(folder, signature)
    ended = Ended(folder, signature, trained.weights, signed.signer)
    assert not ended.ready
    assert ended.code == server.UNFIT
    assert reason in ended.reason


@pytest.mark.slow
def test_another_version_of_the_same_signer_is_not_the_pinned_one(
    folder: Path, signature: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signature holds: the digest in the pin tells the two apart."""
    golden = json.loads((folder / "golden.json").read_text())
    golden = {name: values[:-1] for name, values in golden.items()}
    (folder / "golden.json").write_text(json.dumps(golden))
    shutil.rmtree(signature)
    signer = sign(folder, signature)
    verify(folder, signature, signer)
    ended = Ended(folder, signature, trained.weights, signer)
    assert not ended.ready
    assert f"the release says {trained.weights}" in ended.reason


def test_verifying_imports_nothing_that_signs() -> None:
    code = "import app.serving.verify, sys; print(*{name.split('.')[0] for name in sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = set(found.stdout.split())
    assert "cryptography" in modules
    assert not {"model_signing", "sigstore", "pydantic", "tuf"} & modules
