"""A secret is found wherever and however it was put, and what holds none gives nothing."""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.hunting import Find, Hunter, secret_words, unpacked

NAME = "the login"
SECRETS = st.one_of(
    st.text("abcdefghijkABCDEFGHIJK0123456789", min_size=20, max_size=40),
    # All that has another form in one of the encodings; never one that ends in half of a character.
    st.text('aB1+/=?&<>%"\\\n\t ~_-.é€😀', min_size=12, max_size=24),
)
AROUND = st.binary(max_size=40)


def in_json(text: str) -> bytes:
    return json.dumps({"kept": f"before {text} after"}).encode()


def in_go(text: str) -> bytes:
    """As Go writes it: in UTF-8, and without the signs that HTML is made of."""
    told = json.dumps({"kept": text}, ensure_ascii=False)
    for sign in "<>&":
        told = told.replace(sign, f"\\u{ord(sign):04x}")
    return told.encode()


TEXTS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "url, whole": lambda text: quote(text, safe="").encode(),
    "url, a path": lambda text: quote(text).encode(),
    "url, a form": lambda text: quote_plus(text).encode(),
    "url, lower": lambda text: "".join(
        quoted.lower() if len(quoted := quote(each, "")) > 1 else each for each in text
    ).encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "json": in_json,
    "json in UTF-8": lambda text: json.dumps(text, ensure_ascii=False).encode(),
    "json of Go": in_go,
    "json in json": lambda text: json.dumps(in_json(text).decode()).encode(),
    "json of Go in json of Go": lambda text: in_go_twice(text),
}


def in_go_twice(text: str) -> bytes:
    return json.dumps(in_go(text).decode(), ensure_ascii=False).encode()


BINARIES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "base64": base64.b64encode,
    "base64 for addresses": base64.urlsafe_b64encode,
    "gzip": gzip.compress,
    "gzip, behind another": lambda data: gzip.compress(b"first") + gzip.compress(data),
    "gzip in gzip": lambda data: gzip.compress(gzip.compress(data)),
    "gzip in base64": lambda data: b'{"data": "' + base64.b64encode(gzip.compress(data)) + b'"}',
    "a layer": lambda data: gzip.compress(tarred(data)),
    "a packed file in a layer": lambda data: gzip.compress(tarred(gzip.compress(data))),
}


def tarred(data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in (("etc/other", b"nothing"), ("etc/file", data)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def names(secret: str, data: bytes) -> set[str]:
    """The names that are found, when one is looked for."""
    return {find.secret for find in Hunter({NAME: secret}).finds(data)}


@pytest.mark.parametrize("encoding", TEXTS)
@settings(max_examples=30)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_a_secret_is_found_anywhere_in_each_way_to_write_it(
    encoding: str, secret: str, before: bytes, after: bytes
) -> None:
    assert names(secret, before + TEXTS[encoding](secret) + after) == {NAME}


@pytest.mark.parametrize("packing", BINARIES)
@settings(max_examples=30)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_a_secret_is_found_in_each_way_to_pack_what_it_stands_in(
    packing: str, secret: str, before: bytes, after: bytes
) -> None:
    assert names(secret, BINARIES[packing](before + secret.encode() + after)) == {NAME}


@given(secret=SECRETS, before=st.binary(min_size=3, max_size=5))
def test_base64_is_found_at_all_three_of_its_places(secret: str, before: bytes) -> None:
    inside = base64.b64encode(before + secret.encode() + b"and more")
    assert Find(NAME, "base64") in Hunter({NAME: secret}).finds(b"key=" + inside + b";")


@given(
    # Of other letters, so that neither can be a part of the other.
    secret=st.text("abcdefABCDEF", min_size=24, max_size=40),
    other=st.text("uvwxyzUVWXYZ", min_size=24, max_size=40),
    encoding=st.sampled_from(sorted(TEXTS)),
    packing=st.sampled_from(sorted(BINARIES)),
)
def test_what_holds_another_secret_gives_that_one_alone(
    secret: str, other: str, encoding: str, packing: str
) -> None:
    data = BINARIES[packing](b"password: " + TEXTS[encoding](other))
    told = Hunter({"one": secret, "another": other}).finds(data)
    assert "one" not in {find.secret for find in told}
    if packing.startswith("gzip") or encoding == "plain":
        assert {find.secret for find in told} == {"another"}


@pytest.mark.parametrize("encoding", TEXTS)
def test_a_part_of_a_secret_is_none(encoding: str) -> None:
    secret = "mZ4kQ9xT2vLp7WcY8bNd"
    for part in (secret[:-2], secret[2:], secret.swapcase()):
        for pack in BINARIES.values():
            assert names(secret, pack(TEXTS[encoding](part))) == set()


def test_a_find_tells_name_and_encoding_and_never_the_value() -> None:
    secret = "mZ4kQ9xT2vLp7WcY8bNd"
    finds = Hunter({NAME: secret}).finds(b"x" + base64.b64encode(b"a" + secret.encode()))
    assert finds == {Find(NAME, "base64")}
    assert secret not in repr(finds)


def test_what_is_too_short_is_refused_by_name_alone() -> None:
    with pytest.raises(ValueError, match=f"^{NAME}: need 12") as told:
        Hunter({NAME: "short-words"})
    assert "short-words" not in str(told.value)


@given(st.binary(max_size=600), st.sampled_from([b"", b"\x1f\x8b\x08", b"x" * 257 + b"ustar"]))
def test_any_bytes_are_looked_through(data: bytes, looks_like: bytes) -> None:
    whole = looks_like + data
    assert Hunter({NAME: "mZ4kQ9xT2vLp7WcY8bNd"}).finds(whole) == set()
    assert next(unpacked(whole)) == whole


@given(st.integers(0, 4000))
def test_an_archive_that_was_cut_is_looked_through(end: int) -> None:
    secret = "mZ4kQ9xT2vLp7WcY8bNd"
    archive = tarred(gzip.compress(secret.encode()))
    assert names(secret, archive[:end] + secret.encode()) == {NAME}


@given(st.data())
def test_a_stream_that_was_cut_is_read_as_far_as_it_goes(data: st.DataObject) -> None:
    secret = "mZ4kQ9xT2vLp7WcY8bNd"
    whole = gzip.compress(secret.encode(), compresslevel=0)
    rest = data.draw(st.binary(min_size=1, max_size=9))
    assert names(secret, whole[:-8] + rest) == {NAME}


AUTH = """\
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:////data/auth.db
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
admin_password = mZ4kQ9xT2vLp7WcY8bNdmZ4kQ9xT2vLp7WcY8bNd
token = Tq5Zx8Rw2Ym7Kc4Hv9Bn
name = Tq5Zx8Rw2Ym7Kc4Hv9B
commit = 0a1b2c3d4e5f60718293a4b5c6d7e8f
digest = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""


def test_the_secrets_of_a_file_are_its_long_words_that_nobody_would_write() -> None:
    assert secret_words(AUTH) == {
        "Tq5Zx8Rw2Ym7Kc4Hv9Bn",
        "mZ4kQ9xT2vLp7WcY8bNdmZ4kQ9xT2vLp7WcY8bNd",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }


def test_a_private_key_is_secret_line_by_line_and_a_certificate_is_not() -> None:
    line = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"
    certificate = f"-----BEGIN CERTIFICATE-----\n{line[::-1]}\n-----END CERTIFICATE-----\n"
    key = f"-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n"
    assert secret_words(certificate + key + certificate) == {line}
