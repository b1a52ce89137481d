"""A release is one record: its bytes are canonical and its digest pins all of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import Data
from promotion import evidence
from promotion.refusals import Conflict, GateRefused
from promotion.release import Release, canonical, digest

ZEROS = "sha256:" + "0" * 64


def a_release(**changes: object) -> Release:
    fields = {
        "model": "credit-default",
        "version": 7,
        "run": "1" * 32,
        "image": ZEROS,
        "weights": ZEROS,
        "signer": ZEROS,
        "data": Data(key="data/loans.parquet", version_id="v", sha256="2" * 64),
        "features": ZEROS,
        "commit": "3" * 40,
        "files": {"metrics.json": ZEROS},
    }
    return Release.model_validate({**fields, **changes})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical(value) == canonical(backwards)
    assert json.loads(canonical(value)) == value


def test_a_release_is_read_back_from_its_own_bytes() -> None:
    made = a_release()
    assert Release.read(made.document(), evidence=made.pin().evidence) == made


@pytest.mark.parametrize(
    "change",
    [
        {"version": 8},
        {"run": "4" * 32},
        {"image": "sha256:" + "1" * 64},
        {"weights": "sha256:" + "1" * 64},
        {"signer": "keyless"},
        {"commit": "4" * 40},
        {"files": {"metrics.json": "sha256:" + "1" * 64}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_field_can_change_under_a_pin(change: dict[str, object]) -> None:
    pinned = a_release().pin().evidence
    with pytest.raises(GateRefused, match="changed after it was pinned"):
        Release.read(a_release(**change).document(), evidence=pinned)


@pytest.mark.parametrize(
    ("old", "new", "named"), [('"signer"', '"signed"', "signed, signer"), ("{", "[", "all of it")]
)
def test_what_is_no_release_is_refused_by_the_names_that_are_wrong(
    old: str, new: str, named: str
) -> None:
    document = a_release().document().decode().replace(old, new, 1).encode()
    with pytest.raises(GateRefused, match=f"no release of this format: {named}; train"):
        Release.read(document)


def test_the_pin_names_the_digest_of_the_stored_document() -> None:
    assert a_release().pin().evidence == digest(a_release().document())


class Bucket:
    """As much of boto3's Bucket as evidence uses, in memory; remembers the order of writes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.locks: dict[str, datetime] = {}

    def put_object(
        self,
        *,
        Key: str,
        Body: bytes,
        IfNoneMatch: str,
        ObjectLockMode: str,
        ObjectLockRetainUntilDate: datetime,
    ) -> None:
        assert (IfNoneMatch, ObjectLockMode) == ("*", "GOVERNANCE")
        self.objects[Key] = Body
        self.locks[Key] = ObjectLockRetainUntilDate

    def Object(self, key: str) -> "Stored":
        return Stored(self.objects, key)


class Stored:
    def __init__(self, objects: dict[str, bytes], key: str) -> None:
        self.objects, self.key = objects, key

    def get(self) -> dict[str, "Stored"]:
        if self.key not in self.objects:
            from botocore.exceptions import ClientError

            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": self}

    def read(self) -> bytes:
        return self.objects[self.key]


def test_the_record_is_written_after_all_that_it_names() -> None:
    bucket = Bucket()
    evidence.write(
        bucket, "evidence/m/1/", {"release.json": b"r", "a": b"a", "z": b"z"}, lock_days=3
    )
    assert list(bucket.objects)[-1] == "evidence/m/1/release.json"
    assert len(bucket.objects) == 3


def test_every_file_is_locked_for_as_long_as_the_stack_says() -> None:
    bucket = Bucket()
    evidence.write(bucket, "evidence/m/1/", {"release.json": b"r", "a": b"a"}, lock_days=3)
    lengths = {until - datetime.now(UTC) for until in bucket.locks.values()}
    assert len(bucket.locks) == 2
    assert all(timedelta(days=2, hours=23) < length <= timedelta(days=3) for length in lengths)


def test_the_same_evidence_again_is_no_change() -> None:
    bucket = Bucket()
    for _ in range(2):
        evidence.write(bucket, "evidence/m/1/", {"release.json": b"r"}, lock_days=3)
    assert bucket.objects == {"evidence/m/1/release.json": b"r"}


def test_other_bytes_under_a_taken_name_are_refused() -> None:
    bucket = Bucket()
    evidence.write(bucket, "evidence/m/1/", {"release.json": b"r"}, lock_days=3)
    with pytest.raises(Conflict, match="written once"):
        evidence.write(bucket, "evidence/m/1/", {"release.json": b"other"}, lock_days=3)
    assert bucket.objects == {"evidence/m/1/release.json": b"r"}
