"""Verify a model's signature, offline: one key's OpenSSF signature over exactly a folder's files.

What the library model_signing makes, without the 36 packages that it needs: a Sigstore bundle with
a DSSE envelope around an in-toto statement that lists the files. Never laxer than the library.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from app import weights
from app.serving.model import Unfit

# The hash belongs to the curve. Source: model_signing 1.1, `get_ec_key_hash`.
_HASHES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}

_PAYLOAD = "application/vnd.in-toto+json"
_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _Exact(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A part of the bundle that is not signed: nothing may be in it that is not looked at."""


class _PublicKey(_Exact):
    hint: str


class _Material(_Exact):
    public_key: _PublicKey
    tlog_entries: list[Any]


class _Signature(_Exact):
    sig: bytes
    keyid: str


class _Envelope(_Exact):
    payload: bytes
    payload_type: Literal["application/vnd.in-toto+json"]
    signatures: list[_Signature]


class _Bundle(_Exact):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verification_material: _Material
    dsse_envelope: _Envelope


class _Resource(msgspec.Struct):
    name: str
    algorithm: Literal["sha256"]
    digest: _Sha256


class _Root(msgspec.Struct):
    sha256: _Sha256


class _Subject(msgspec.Struct):
    name: str
    digest: _Root


class _Serialization(msgspec.Struct):
    method: Literal["files"]
    hash_type: Literal["sha256"]
    allow_symlinks: bool
    ignore_paths: list[str] = []


class _Predicate(msgspec.Struct):
    serialization: _Serialization
    resources: list[_Resource]


class _Statement(msgspec.Struct, rename={"type": "_type", "predicate_type": "predicateType"}):
    type: Literal["https://in-toto.io/Statement/v1"]
    predicate_type: Literal["https://model_signing/signature/v1.0"]
    subject: list[_Subject]
    predicate: _Predicate


def verify(folder: Path, signature: Path, signer: str) -> None:
    """Verify `folder` by `signature`, the folder with the bundle and the signer's public key.

    `signer` is that key's fingerprint, `sha256:` over its PEM. Raises `Unfit` with the reason when
    the key is another, the signature is not its, or the signed files are not those of `folder`.
    """
    key = _key(signature / weights.PUBLIC_KEY, signer)
    signed = _signed(signature / weights.SIGNATURE, key, signer)
    try:
        found = weights.files(folder)
    except (OSError, weights.UnsafeFile) as error:
        raise Unfit(f"{folder}: the weights cannot be digested: {error}") from error
    complaints = {
        "changed": [name for name in signed if found.get(name, signed[name]) != signed[name]],
        "missing": [name for name in signed if name not in found],
        "not signed": [name for name in found if name not in signed],
    }
    if any(complaints.values()):
        said = "; ".join(f"{how}: {', '.join(names)}" for how, names in complaints.items() if names)
        raise Unfit(f"{folder} is not what was signed: {said}")


def _key(path: Path, signer: str) -> ec.EllipticCurvePublicKey:
    if signer == weights.KEYLESS:
        raise Unfit(
            "the signer is keyless: who must have signed is in no pin, and a pod cannot ask "
            "Sigstore; sign with a key"
        )
    pem = _read(path)
    if (found := f"sha256:{hashlib.sha256(pem).hexdigest()}") != signer:
        raise Unfit(f"{path} is the key {found}, the release says {signer}")
    try:
        key = load_pem_public_key(pem)
    except Exception as error:  # the library's errors have no common base
        raise Unfit(f"{path} is no public key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise Unfit(f"{path} is no key of the curves {', '.join(_HASHES)}")
    return key


def _signed(path: Path, key: ec.EllipticCurvePublicKey, signer: str) -> dict[str, str]:
    """The SHA-256 of each file by name, as the bundle at `path` has them signed by `key`."""
    bundle = _decoded(_read(path), _Bundle, f"{path} is no bundle of a model's signature")
    envelope = bundle.dsse_envelope
    hint = f"sha256:{bundle.verification_material.public_key.hint}"
    if hint != signer:
        raise Unfit(f"{path} was signed with the key {hint}, the release says {signer}")
    if len(envelope.signatures) != 1:
        raise Unfit(f"{path} has {len(envelope.signatures)} signatures, wanted is one")
    # Pre-authentication encoding. Source: DSSE protocol v1.0.0, "Signature Definition".
    head = f"DSSEv1 {len(_PAYLOAD)} {_PAYLOAD} {len(envelope.payload)} "
    algorithm = ec.ECDSA(_HASHES[key.curve.name])
    try:
        key.verify(envelope.signatures[0].sig, head.encode() + envelope.payload, algorithm)
    except InvalidSignature as error:
        raise Unfit(f"{path} is not signed by the key {signer}") from error
    statement = _decoded(envelope.payload, _Statement, f"{path} holds no statement of a model")
    if left_out := statement.predicate.serialization.ignore_paths:
        raise Unfit(f"{path} leaves files unsigned: {', '.join(left_out)}")
    resources = statement.predicate.resources
    signed = {each.name: each.digest for each in resources}
    root = hashlib.sha256(b"".join(bytes.fromhex(each.digest) for each in resources)).hexdigest()
    roots = [each.digest.sha256 for each in statement.subject]
    if len(signed) != len(resources) or roots != [root]:
        raise Unfit(f"{path} contradicts itself: a file twice, or another digest of the whole")
    return signed


_T = TypeVar("_T")


def _decoded(content: bytes, kind: type[_T], complaint: str) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Unfit(f"{complaint}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Unfit(f"the model is unsigned: there is no {path}") from error
    except OSError as error:
        raise Unfit(f"{path} cannot be read: {error}") from error
