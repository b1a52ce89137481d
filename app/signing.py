"""Signing: OpenSSF model signatures over a model's files, by a key or keyless by an identity."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from app import console
from app.weights import KEYLESS, PUBLIC_KEY

app = typer.Typer(help=__doc__, no_args_is_help=True)


def key_path() -> Path:
    """The private key: MODEL_SIGNING_KEY, else one in the user's state folder.

    `keyless` there means to sign with the identity that the surroundings give, by Sigstore.
    """
    if given := os.environ.get("MODEL_SIGNING_KEY"):
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(os.environ.get("FERRY_STATE") or Path(state, "ferry"), "signing", "model.key")


def ensure_key(path: Path) -> str:
    """Make a private key (P-256, mode 0600) unless there is one; give its fingerprint.

    The public key stands beside it, as `<name>.pub`. Of two that start at once, one key is kept.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        # Whole before it has its name; the file is 0600 from the start.
        with tempfile.NamedTemporaryFile(dir=path.parent) as draft:
            draft.write(content)
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, path)
    public = _public(path)
    if not (beside := path.with_suffix(".pub")).exists():
        beside.write_bytes(public)
    return fingerprint(public)


def sign(folder: Path, signature: Path) -> tuple[str, bytes | None]:
    """Sign every file of `folder` into the bundle `signature`; give the signer.

    That is the public key's fingerprint and the key itself (PEM), or `keyless` and None.
    Raises `console.Refused` when the key cannot be used, or when no identity is found.
    """
    from model_signing import signing

    path = key_path()
    config = signing.Config().set_hashing_config(_every_file())
    try:
        if str(path) == KEYLESS:
            config.use_sigstore_signer(use_ambient_credentials=True)
            signer, public = KEYLESS, None
        else:
            # A key that was named and is not there is a mistake; only the own one is made.
            if not os.environ.get("MODEL_SIGNING_KEY"):
                ensure_key(path)
            public = _public(path)
            signer = fingerprint(public)
            config.use_elliptic_key_signer(private_key=path)
        config.sign(folder, signature)
    except Exception as error:  # the libraries' errors have no common base
        raise console.Refused(f"{folder} cannot be signed with {path}: {error}") from error
    return signer, public


def verify(
    folder: Path,
    signature: Path,
    *,
    public_key: Path | None = None,
    identity: str = "",
    issuer: str = "",
) -> None:
    """Verify that the bundle is over exactly these files, by that key or by that identity.

    Raises `console.Refused` when it is not, or cannot be read.
    """
    from model_signing import verifying

    config = verifying.Config().set_hashing_config(_every_file())
    try:
        if public_key is not None:
            config.use_elliptic_key_verifier(public_key=public_key)
        else:
            config.use_sigstore_verifier(identity=identity, oidc_issuer=issuer)
        config.verify(folder, signature)
    except Exception as error:  # the libraries' errors have no common base
        reason = str(error) or type(error).__name__
        raise console.Refused(f"{signature} is no signature of {folder}: {reason}") from error


def _every_file() -> Any:  # noqa: ANN401 - the library's type, which is dear to import
    """The library's own choice leaves out what Git calls its own, such as `.gitignore`."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)


def _public(private: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key: Any = serialization.load_pem_private_key(private.read_bytes(), None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def fingerprint(public: bytes) -> str:
    """As the bundle's hint: over the public key's PEM."""
    return "sha256:" + hashlib.sha256(public).hexdigest()


Folder = Annotated[Path, typer.Argument(help="Folder with the model's files.")]
Signature = Annotated[Path, typer.Option(help="File of the signature bundle.")]


@app.command("key")
def _key(as_json: console.AsJson = False) -> None:
    """Make the signing key unless there is one; print where it is and its fingerprint."""
    with console.exit_codes():
        path = key_path()
        if str(path) == KEYLESS:
            raise console.Refused("MODEL_SIGNING_KEY is keyless; there is no key to make")
        fingerprint = ensure_key(path)
        public = str(path.with_suffix(".pub"))
        console.emit({"key": str(path), "public": public, "fingerprint": fingerprint}, as_json)


@app.command("sign")
def _sign(folder: Folder, signature: Signature, as_json: console.AsJson = False) -> None:
    """Sign a model with MODEL_SIGNING_KEY: a private key's file, or `keyless`.

    The public key is put beside the bundle, as a server wants both.
    """
    with console.exit_codes():
        signature.parent.mkdir(parents=True, exist_ok=True)
        signer, public = sign(folder, signature)
        if public is not None:
            signature.with_name(PUBLIC_KEY).write_bytes(public)
        console.emit({"signature": str(signature), "signer": signer}, as_json)


@app.command("verify")
def _verify(
    folder: Folder,
    signature: Signature,
    public_key: Annotated[Path | None, typer.Option(help="Public key of the signer.")] = None,
    identity: Annotated[str, typer.Option(help="Keyless: who must have signed.")] = "",
    issuer: Annotated[str, typer.Option(help="Keyless: who must vouch for them.")] = "",
    as_json: console.AsJson = False,
) -> None:
    """Verify a model's signature; needs --public-key, or --identity and --issuer."""
    if public_key is None and not (identity and issuer):
        raise typer.BadParameter("give --public-key, or --identity with --issuer")
    with console.exit_codes():
        verify(folder, signature, public_key=public_key, identity=identity, issuer=issuer)
        console.emit({"signature": str(signature), "verified": True}, as_json)


if __name__ == "__main__":
    app()
