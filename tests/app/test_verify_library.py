"""The server's verdict on bundles and folders beside that of the library that signs them."""

import base64
import copy
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import sign
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from app import console, signing, weights
from app.serving.model import Unfit
from app.serving.verify import verify

NAMES = st.sampled_from(["a", "b", ".gitignore", ".git", "c.json", "sub/a", "sub/deep/b"])
FOLDERS = st.dictionaries(NAMES, st.binary(max_size=3), min_size=1, max_size=4)


class Tiny:
    """Small signed folders, and both verdicts on them."""

    def __init__(self, base: Path) -> None:
        self.signature = base / "signature"
        self.folder = base / "model"
        self.lay({"a": b"1", "b": b"2"})
        self.signer = sign(self.folder, self.signature)
        self.bundle = json.loads((self.signature / weights.SIGNATURE).read_text())
        self.statement = json.loads(base64.b64decode(self.bundle["dsseEnvelope"]["payload"]))
        self._key: Any = load_pem_private_key((base / "signature.key").read_bytes(), None)

    def lay(self, files: dict[str, bytes]) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name, content in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content)

    def put(self, bundle: str) -> None:
        (self.signature / weights.SIGNATURE).write_text(bundle)

    def sign(self, payload: bytes) -> None:
        """A bundle around any payload, by the right key."""
        kind = "application/vnd.in-toto+json"
        message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        made = copy.deepcopy(self.bundle)
        made["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
        signature = self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        made["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        self.put(json.dumps(made))

    def resign(self) -> None:
        """The library's signature over the folder as it is, by the same key."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MODEL_SIGNING_KEY", str(self.signature.with_name("signature.key")))
            signing.sign(self.folder, self.signature / weights.SIGNATURE)

    def ours(self) -> bool:
        try:
            verify(self.folder, self.signature, self.signer)
        except Unfit:
            return False
        return True

    def theirs(self) -> bool:
        key = self.signature / weights.PUBLIC_KEY
        try:
            signing.verify(self.folder, self.signature / weights.SIGNATURE, public_key=key)
        except console.Refused:
            return False
        return True


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


@given(files=FOLDERS, found=st.none() | FOLDERS, link=st.booleans())
def test_both_take_exactly_the_files_that_were_signed(
    tiny: Tiny, files: dict[str, bytes], found: dict[str, bytes] | None, link: bool
) -> None:
    present = files if found is None else found
    tiny.lay(files)
    tiny.resign()
    tiny.lay(present)
    if link:
        first = tiny.folder / min(present)
        first.rename(tiny.folder.with_name("elsewhere"))
        first.symlink_to(tiny.folder.with_name("elsewhere"))
    wanted = files == present and not link
    assert (tiny.ours(), tiny.theirs()) == (wanted, wanted)


@given(data=st.data())
def test_no_change_to_a_bundle_is_taken_that_the_library_refuses(
    tiny: Tiny, data: st.DataObject
) -> None:
    text = json.dumps(tiny.bundle)
    place = data.draw(st.integers(0, len(text) - 1))
    cut = data.draw(st.integers(0, 2))
    put = data.draw(st.text('{}[]",:= \\abcA019+/', max_size=2))
    tiny.put(text[:place] + put + text[place + cut :])
    assert tiny.theirs() or not tiny.ours()


SCALARS = st.none() | st.booleans() | st.integers(0, 9) | st.text("abcf01/.", max_size=64)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner)
)


@given(data=st.data())
def test_no_statement_of_the_right_key_is_taken_that_the_library_refuses(
    tiny: Tiny, data: st.DataObject
) -> None:
    """Not even the signer is believed beyond what the library believes."""
    statement = copy.deepcopy(tiny.statement)
    holder, key = data.draw(st.sampled_from(list(_places(statement))))
    if data.draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = data.draw(VALUES | st.just(copy.deepcopy(holder[key])))
    tiny.sign(json.dumps(statement).encode())
    assert tiny.theirs() or not tiny.ours()
    if statement == tiny.statement:
        assert tiny.ours()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any JSON
    """Everything inside of `value`, as its holder and its key there."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


@pytest.mark.parametrize(
    "place",
    [
        ("mediaType",),
        ("dsseEnvelope", "payloadType"),
        ("verificationMaterial", "publicKey", "more"),
    ],
)
def test_a_bundle_of_another_kind_is_refused(tiny: Tiny, place: tuple[str, ...]) -> None:
    bundle = copy.deepcopy(tiny.bundle)
    _put(bundle, place, "other")
    tiny.put(json.dumps(bundle))
    with pytest.raises(Unfit, match="is no bundle of a model's signature"):
        verify(tiny.folder, tiny.signature, tiny.signer)


@pytest.mark.parametrize(
    "place",
    [
        ("_type",),
        ("predicateType",),
        ("predicate", "serialization", "method"),
        ("predicate", "serialization", "hash_type"),
        ("predicate", "resources", 0, "algorithm"),
        ("predicate", "resources", 0, "digest"),
    ],
)
def test_a_statement_of_another_kind_is_refused(tiny: Tiny, place: tuple[str | int, ...]) -> None:
    statement = copy.deepcopy(tiny.statement)
    _put(statement, place, "other")
    tiny.sign(json.dumps(statement).encode())
    with pytest.raises(Unfit, match="holds no statement of a model"):
        verify(tiny.folder, tiny.signature, tiny.signer)


def _put(value: Any, place: tuple[str | int, ...], new: str) -> None:  # noqa: ANN401 - any JSON
    *way, last = place
    for key in way:
        value = value[key]
    value[last] = new


def test_a_file_that_a_statement_lists_twice_is_refused(tiny: Tiny) -> None:
    statement = copy.deepcopy(tiny.statement)
    resources = statement["predicate"]["resources"]
    resources.append(resources[0])
    digests = b"".join(bytes.fromhex(each["digest"]) for each in resources)
    statement["subject"][0]["digest"]["sha256"] = hashlib.sha256(digests).hexdigest()
    tiny.sign(json.dumps(statement).encode())
    with pytest.raises(Unfit, match="contradicts itself"):
        verify(tiny.folder, tiny.signature, tiny.signer)


def test_a_statement_that_leaves_files_out_is_refused(tiny: Tiny) -> None:
    """As the library's own choice does with what it takes for Git's."""
    statement = copy.deepcopy(tiny.statement)
    statement["predicate"]["serialization"]["ignore_paths"] = [".gitignore"]
    tiny.sign(json.dumps(statement).encode())
    with pytest.raises(Unfit, match=r"leaves files unsigned: \.gitignore"):
        verify(tiny.folder, tiny.signature, tiny.signer)


def test_two_signatures_are_refused(tiny: Tiny) -> None:
    bundle = copy.deepcopy(tiny.bundle)
    bundle["dsseEnvelope"]["signatures"] *= 2
    tiny.put(json.dumps(bundle))
    with pytest.raises(Unfit, match="2 signatures, wanted is one"):
        verify(tiny.folder, tiny.signature, tiny.signer)
