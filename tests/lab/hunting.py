"""Whether secrets stand in some bytes: plain, in an encoding, or packed."""

import base64
import binascii
import contextlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import hyperscan

SHORTEST = 12
"""Bytes of a secret: what is shorter stands in many places by chance."""
_GZIP = b"\x1f\x8b\x08"
_GZIP_IN_BASE64 = re.compile(rb"H4sI[A-Za-z0-9+/]{16,}")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_WORD = re.compile(r"[A-Za-z0-9+/_-]{20,}")
_HEX = re.compile(r"[0-9a-f]{32,}")


@dataclass(frozen=True, order=True)
class Find:
    """A secret by its name, never by its value: finds are printed."""

    secret: str
    encoding: str


class Hunter:
    """Looks for all of some secrets at once."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """From values by their names. Raises ValueError for one that is too short to be told."""
        found = {
            needle: Find(name, encoding)
            for name, value in secrets.items()
            for needle, encoding in needles(name, value).items()
        }
        self._finds = [*found.values()]
        self._database = hyperscan.Database()
        self._database.compile(
            expressions=[*found],
            ids=range(len(found)),
            elements=len(found),
            flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(found),
            literal=True,
        )

    def finds(self, data: bytes) -> set[Find]:
        """What stands in `data`, or in what is packed in it."""
        found: set[Find] = set()
        for text in unpacked(data):
            self._database.scan(text, lambda number, *_: found.add(self._finds[number]))
        return found


def needles(name: str, value: str) -> dict[bytes, str]:
    """What to look for, and which encoding it is."""
    if len(value.encode()) < SHORTEST:
        raise ValueError(f"{name}: need {SHORTEST} bytes or more, since less is found by chance")
    found: dict[bytes, str] = {}
    for encoding, form in _forms(value):
        found.setdefault(form, encoding)
    return found


def _forms(value: str) -> Iterator[tuple[str, bytes]]:
    raw = value.encode()
    yield "plain", raw
    for before in range(3):
        # Inside a larger text, the characters at both ends hold bits of what is beside it.
        first, last = (before * 8 + 5) // 6, (before + len(raw)) * 8 // 6
        yield "base64", base64.b64encode(bytes(before) + raw)[first:last]
        yield "base64", base64.urlsafe_b64encode(bytes(before) + raw)[first:last]
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield "url", quoted.encode()
        yield "url", re.sub("%..", lambda code: code[0].lower(), quoted).encode()
    yield "hex", raw.hex().encode()
    yield "hex", raw.hex().upper().encode()
    for ascii_alone in (True, False):
        escaped = _escaped(value, ascii_alone=ascii_alone)
        # Go escapes what HTML could be made of; and JSON is often kept as a text in JSON.
        for once in (escaped, re.sub("[<>&]", lambda sign: f"\\u{ord(sign[0]):04x}", escaped)):
            yield "json", once.encode()
            yield "json", _escaped(once, ascii_alone=ascii_alone).encode()


def _escaped(text: str, *, ascii_alone: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_alone)[1:-1]


def unpacked(data: bytes) -> Iterator[bytes]:
    """The bytes themselves, and all that is packed in them: gzip, also in a tar or in base64."""
    yield data
    if data.startswith(_GZIP):
        yield from unpacked(_gunzipped(data))
    elif data[257:262] == b"ustar":
        for member in _members(data):
            # Any other member stands in the tar as it is.
            if member.startswith(_GZIP):
                yield from unpacked(member)
    for run in _GZIP_IN_BASE64.finditer(data):
        text = run[0]
        packed = binascii.a2b_base64(text[: len(text) // 4 * 4])
        yield from unpacked(_gunzipped(packed))


def _gunzipped(data: bytes) -> bytes:
    """All members one after the other, as far as they are whole."""
    parts = []
    while data.startswith(_GZIP):
        stream = zlib.decompressobj(wbits=31)
        try:
            parts.append(stream.decompress(data))
        except zlib.error:
            break
        data = stream.unused_data
    return b"".join(parts)


def _members(data: bytes) -> Iterator[bytes]:
    # What only looks like a tar, or was cut, is read as far as it is one.
    with (
        contextlib.suppress(tarfile.TarError),
        tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive,
    ):
        for each in archive:
            if each.isfile() and (file := archive.extractfile(each)):
                yield file.read()


def secret_words(text: str) -> set[str]:
    """The words of a file of secrets that are one: long, and such as nobody would write.

    A certificate is none; of a private key each line is.
    """
    words = _WORD.findall(_CERTIFICATE.sub("", text))
    return {word for word in words if _mixed(word) or _HEX.fullmatch(word)}


def _mixed(word: str) -> bool:
    return all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
