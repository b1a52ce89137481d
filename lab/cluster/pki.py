"""A lab's certificates: three authorities, a key per component, renewed before they expire."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.cluster.identity import Lab

_AUTHORITY_DAYS = 3650
_LEAF_DAYS = 365
_RENEW_DAYS = 30


@dataclass(frozen=True)
class Leaf:
    """What one certificate says: its file name, who signs it, and whom it names."""

    name: str
    common_name: str
    organization: str = ""
    authority: str = "ca"
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()


def leaves(lab: Lab) -> tuple[Leaf, ...]:
    """Every certificate of a lab, with the identities Kubernetes' own RBAC roles expect."""
    local = IPv4Address("127.0.0.1")
    return (
        Leaf(
            "apiserver",
            "kube-apiserver",
            names=(
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost",
            ),
            addresses=(local, lab.address, lab.services[1]),
        ),
        Leaf("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters"),
        Leaf("admin", "ferry-admin", "system:masters"),
        Leaf("controller-manager", "system:kube-controller-manager"),
        Leaf("scheduler", "system:kube-scheduler"),
        Leaf("proxy", "system:kube-proxy"),
        Leaf(
            "node",
            f"system:node:{lab.name}",
            "system:nodes",
            names=(lab.name,),
            addresses=(lab.address,),
        ),
        # Authorities of their own: a cluster certificate must open neither etcd nor pass for the
        # aggregator, which may name any user.
        Leaf("front-proxy", "front-proxy-client", authority="front-proxy-ca"),
        Leaf("etcd", "etcd", authority="etcd-ca", names=("localhost",), addresses=(local,)),
    )


def ensure(lab: Lab, now: datetime | None = None) -> Path:
    """Makes what is missing or about to expire below `<lab>/pki`, and returns that folder."""
    now = now or datetime.now(UTC)
    folder = lab.folder / "pki"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _account_key(folder)
    for name in ("ca", "front-proxy-ca", "etcd-ca"):
        if not _good(folder, name, now):
            _write(folder, name, *_authority(f"ferry-{lab.name}-{name}", now))
    for leaf in leaves(lab):
        if not _good(folder, leaf.name, now, leaf):
            _write(folder, leaf.name, *_issue(folder, leaf, now))
    return folder


def _account_key(folder: Path) -> None:
    """The key that signs service accounts' tokens; replacing it would void them all."""
    if (folder / "accounts.key").exists() and (folder / "accounts.pub").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_private(folder / "accounts.pub", public)
    write_private(folder / "accounts.key", _pem(key))


def _good(folder: Path, name: str, now: datetime, leaf: Leaf | None = None) -> bool:
    try:
        key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
        certificate = _read(folder, name)
    except (FileNotFoundError, ValueError):
        return False
    if key.public_key() != certificate.public_key():
        return False
    if certificate.not_valid_after_utc < now + timedelta(days=_RENEW_DAYS):
        return False
    if leaf is None:
        return True
    try:
        certificate.verify_directly_issued_by(_read(folder, leaf.authority))
    except Exception:  # any failure, of name or of signature, has the same remedy
        return False
    return certificate.subject == _subject(leaf) and _alternatives(certificate) == {
        *leaf.names,
        *leaf.addresses,
    }


def _authority(name: str, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    builder = _builder(subject, subject, key, now, _AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    return key, builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())


def _issue(
    folder: Path, leaf: Leaf, now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    signer = serialization.load_pem_private_key(
        (folder / f"{leaf.authority}.key").read_bytes(), None
    )
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / leaf.authority}.key is not one of ours")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_subject(leaf), _read(folder, leaf.authority).subject, key, now, _LEAF_DAYS)
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    named = [
        *(x509.DNSName(name) for name in leaf.names),
        *(x509.IPAddress(address) for address in leaf.addresses),
    ]
    if named:
        builder = builder.add_extension(x509.SubjectAlternativeName(named), critical=False)
    return key, builder.sign(signer, hashes.SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _subject(leaf: Leaf) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
    if leaf.organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization))
    return x509.Name(parts)


def _alternatives(certificate: x509.Certificate) -> set[object]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {entry.value for entry in found.value}


def _read(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def _write(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    write_private(folder / f"{name}.key", _pem(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def write_private(file: Path, content: bytes) -> None:
    """Replaces `file` as a whole, readable by its owner alone."""
    partial = file.with_name(f".{file.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(content)
    partial.replace(file)
