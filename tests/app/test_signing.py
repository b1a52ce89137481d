"""A signature holds for exactly the files that were signed, by exactly that key."""

import json
import stat
from pathlib import Path

import pytest
from conftest import Trained
from typer.testing import CliRunner

from app import console, signing, weights
from app.serving import verify


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The public key of the signer."""
    monkeypatch.setenv("FERRY_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("MODEL_SIGNING_KEY", raising=False)
    signing.ensure_key(signing.key_path())
    return signing.key_path().with_suffix(".pub")


def _command(*arguments: str) -> tuple[int, str]:
    answer = CliRunner().invoke(signing.app, list(arguments))
    return answer.exit_code, answer.output


def test_what_was_signed_verifies_and_keeps_its_digest(
    folder: Path, key: Path, tmp_path: Path, trained: Trained
) -> None:
    signature = tmp_path / "signature" / "signature.json"
    code, output = _command("sign", str(folder), "--signature", str(signature), "--json")
    assert code == 0, output
    code, made = _command("key", "--json")
    assert json.loads(output)["signer"] == json.loads(made)["fingerprint"]
    hint = json.loads(signature.read_text())["verificationMaterial"]["publicKey"]["hint"]
    assert json.loads(made)["fingerprint"] == f"sha256:{hint}"
    code, output = _command(
        "verify", str(folder), "--signature", str(signature), "--public-key", str(key)
    )
    assert code == 0, output
    assert weights.digest(folder) == trained.weights
    verify.verify(folder, signature.parent, json.loads(made)["fingerprint"])  # as a server does


@pytest.mark.parametrize("name", weights.MODEL_FILES)
def test_a_changed_byte_breaks_the_signature(
    folder: Path, key: Path, tmp_path: Path, name: str
) -> None:
    signature = tmp_path / "signature.json"
    signing.sign(folder, signature)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    code, output = _command(
        "verify", str(folder), "--signature", str(signature), "--public-key", str(key)
    )
    assert code == 3
    assert name in output


def test_a_file_too_many_or_too_few_breaks_the_signature(
    folder: Path, key: Path, tmp_path: Path
) -> None:
    signature = tmp_path / "signature.json"
    signing.sign(folder, signature)
    (folder / "extra").touch()
    with pytest.raises(console.Refused, match="Extra files"):
        signing.verify(folder, signature, public_key=key)
    (folder / "extra").unlink()
    (folder / "golden.json").unlink()
    with pytest.raises(console.Refused, match="Missing files"):
        signing.verify(folder, signature, public_key=key)


def test_the_signature_of_another_key_is_refused(folder: Path, key: Path, tmp_path: Path) -> None:
    signature = tmp_path / "signature.json"
    signing.sign(folder, signature)
    signing.ensure_key(tmp_path / "other.key")
    with pytest.raises(console.Refused, match="Key mismatch"):
        signing.verify(folder, signature, public_key=tmp_path / "other.pub")


@pytest.mark.parametrize("content", ["", "{}", "[", '{"mediaType": "x"}'])
def test_a_bundle_that_is_none_is_refused(
    folder: Path, key: Path, tmp_path: Path, content: str
) -> None:
    signature = tmp_path / "signature.json"
    signature.write_text(content)
    with pytest.raises(console.Refused, match="is no signature of"):
        signing.verify(folder, signature, public_key=key)


def test_the_key_is_made_once_and_only_its_owner_reads_it(key: Path) -> None:
    private = signing.key_path()
    before = private.read_bytes()
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    first = signing.ensure_key(private)
    assert signing.ensure_key(private) == first
    assert private.read_bytes() == before
    assert [path.name for path in sorted(private.parent.iterdir())] == ["model.key", "model.pub"]


def test_a_given_key_is_taken_and_not_written_to(
    folder: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "mounted"
    given.mkdir()
    (given / "tls.key").write_bytes(signing.key_path().read_bytes())
    monkeypatch.setenv("MODEL_SIGNING_KEY", str(given / "tls.key"))
    signer, public = signing.sign(folder, tmp_path / "signature.json")
    assert public == key.read_bytes()
    signing.verify(folder, tmp_path / "signature.json", public_key=key)
    assert [path.name for path in given.iterdir()] == ["tls.key"]
    assert signer.startswith("sha256:")


def test_a_given_key_that_is_missing_is_not_made_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_SIGNING_KEY", str(tmp_path / "lost.key"))
    with pytest.raises(console.Refused, match=r"lost\.key"):
        signing.sign(folder, tmp_path / "signature.json")
    assert not (tmp_path / "lost.key").exists()


def test_keyless_signing_needs_an_identity(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sigstore.oidc import IdentityError

    def nobody(*_: object, **__: object) -> None:
        raise IdentityError("no ambient identity")

    from model_signing._signing import sign_sigstore

    monkeypatch.setattr(sign_sigstore.Signer, "__init__", nobody)
    monkeypatch.setenv("MODEL_SIGNING_KEY", weights.KEYLESS)
    with pytest.raises(console.Refused, match="no ambient identity"):
        signing.sign(folder, tmp_path / "signature.json")
    code, output = _command("key")
    assert code == 3
    assert "no key to make" in output


def test_verifying_needs_to_know_who_must_have_signed(folder: Path, tmp_path: Path) -> None:
    code, output = _command("verify", str(folder), "--signature", str(tmp_path / "none"))
    assert code == 2
    assert "--public-key" in output
