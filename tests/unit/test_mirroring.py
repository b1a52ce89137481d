"""The bucket's copy of a ledger tells of what the file alone cannot: its end, and its last line."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from infra.outputs import StackOutputs
from promotion import ledger, mirroring
from promotion.refusals import Conflict, DependencyDown, GateRefused, NeverUp
from promotion.stack import Stack
from tests.unit.test_ferry import DEV, OUTPUTS, ferry
from tests.unit.test_ledger import FIVE, NOON, add, rewritten


class Bucket:
    """As much of boto3's Bucket as the mirror uses, in memory."""

    def __init__(self, *lines: bytes, stack: str = "dev") -> None:
        self.stored = {
            mirroring.key(stack, number): line for number, line in enumerate(lines, start=1)
        }
        self.locked: dict[str, datetime] = {}
        self.read: list[str] = []
        self.objects = self
        self.up = True
        self.quicker: bytes | None = None
        """What another command puts under a key just before this one does."""

    def filter(self, *, Prefix: str) -> Iterator[SimpleNamespace]:
        if not self.up:
            raise EndpointConnectionError(endpoint_url="http://s3.dev.ferry.test")
        return (
            SimpleNamespace(key=key, size=len(line))
            for key, line in self.stored.items()
            if key.startswith(Prefix)
        )

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
        if self.quicker is not None:
            self.stored[Key] = self.quicker
        if Key in self.stored:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.stored[Key] = Body
        self.locked[Key] = ObjectLockRetainUntilDate

    def Object(self, key: str) -> SimpleNamespace:
        return SimpleNamespace(get=lambda: {"Body": SimpleNamespace(read=lambda: self.get(key))})

    def get(self, key: str) -> bytes:
        self.read.append(key)
        if key not in self.stored:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return self.stored[key]


def upload(bucket: Bucket, lines: list[bytes], stack: str = "dev") -> int:
    return mirroring.upload(bucket, stack, lambda: lines, lock_days=3)


def compared(bucket: Bucket, lines: list[bytes]) -> int:
    return mirroring.compare(bucket, "dev", lines)


Check = Callable[[Bucket, list[bytes]], int]


def test_every_record_is_stored_once_under_its_sequence_and_locked() -> None:
    bucket = Bucket()
    assert upload(bucket, FIVE[:3]) == 3
    assert upload(bucket, FIVE) == 2
    assert upload(bucket, FIVE) == 0
    assert bucket.stored == {f"ledger/dev/0000000{n}.json": FIVE[n - 1] for n in range(1, 6)}
    for until in bucket.locked.values():
        assert abs(until - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=1)


@given(st.sets(st.integers(1, 5)))
def test_whatever_the_bucket_has_already_the_rest_is_made_up_for(have: set[int]) -> None:
    bucket = Bucket()
    bucket.stored = {mirroring.key("dev", number): FIVE[number - 1] for number in have}
    assert compared(bucket, FIVE) == 5 - len(have)
    assert upload(bucket, FIVE) == 5 - len(have)
    assert compared(bucket, FIVE) == 0


def test_of_what_is_stored_an_upload_reads_the_newest_alone() -> None:
    bucket = Bucket(*FIVE[:4])
    upload(bucket, FIVE)
    assert bucket.read == ["ledger/dev/00000004.json"]


def test_the_ledger_of_one_stack_is_no_business_of_anothers() -> None:
    bucket = Bucket(*FIVE, stack="dev2")
    bucket.stored["ledger/dev/readme.txt"] = b"not a record"
    assert compared(bucket, FIVE) == 5


OTHER_END = [*FIVE[:4], rewritten(FIVE[4], who="eve@ferry.test")]


@pytest.mark.parametrize("check", [upload, compared])
def test_a_last_record_written_anew_is_a_conflict(check: Check) -> None:
    with pytest.raises(Conflict, match=r"line 5: the bucket's ledger/dev/00000005\.json is an"):
        check(Bucket(*FIVE), OTHER_END)


def test_a_fork_is_a_conflict_even_where_the_bucket_is_behind() -> None:
    bucket = Bucket(*OTHER_END[:5])
    with pytest.raises(Conflict, match="line 5"):
        upload(bucket, [*FIVE, b"{}\n"])
    assert len(bucket.stored) == 5


def test_comparing_names_the_first_record_that_differs() -> None:
    bucket = Bucket(FIVE[0], b"forged\n", b"forged\n", *FIVE[3:])
    with pytest.raises(Conflict, match="line 2: the bucket's"):
        compared(bucket, FIVE)


@pytest.mark.parametrize("check", [upload, compared])
@pytest.mark.parametrize("kept", [0, 3])
def test_a_file_that_was_cut_at_its_end_is_a_conflict(check: Check, kept: int) -> None:
    words = f"ends at record {kept}, the bucket holds ledger/dev/0000000{kept + 1}"
    with pytest.raises(Conflict, match=words):
        check(Bucket(*FIVE), FIVE[:kept])


def test_of_two_that_mirror_at_once_the_slower_is_content_with_the_same_record() -> None:
    bucket = Bucket()
    bucket.quicker = FIVE[0]
    assert upload(bucket, FIVE[:1]) == 1
    bucket = Bucket()
    bucket.quicker = b"another\n"
    with pytest.raises(Conflict, match="line 1"):
        upload(bucket, FIVE[:1])


@pytest.mark.parametrize("shown", [0, 40], ids=["empty", "its beginning"])
def test_a_record_that_another_command_is_putting_is_waited_for(shown: int) -> None:
    bucket = Bucket(*FIVE[:2], FIVE[2][:shown])
    last, get = mirroring.key("dev", 3), bucket.get

    def once_more(key: str) -> bytes:
        found = get(key)
        bucket.stored[last] = FIVE[2]
        return found

    bucket.get = once_more
    assert upload(bucket, FIVE[:3]) == 0
    assert bucket.read == [last, last]


@pytest.mark.parametrize("shown", [None, 0, 40], ids=["listed alone", "empty", "its beginning"])
def test_a_record_that_stays_half_put_is_no_fork(
    monkeypatch: pytest.MonkeyPatch, shown: int | None
) -> None:
    monkeypatch.setattr(mirroring, "_PATIENCE", 0.1)
    bucket = Bucket(*FIVE[:2], FIVE[2][: shown or 0])
    if shown is None:
        monkeypatch.setattr(bucket, "get", Bucket().get)
    with pytest.raises(DependencyDown, match=r"no whole ledger/dev/00000003\.json"):
        upload(bucket, FIVE[:3])


def test_what_others_append_and_upload_meanwhile_is_no_cut_file() -> None:
    bucket, lines = Bucket(*FIVE[:2]), list(FIVE[:2])
    listed = bucket.filter

    def busy(*, Prefix: str) -> Iterator[SimpleNamespace]:
        lines[:] = FIVE[:3]  # in the file first, then in the bucket
        bucket.stored[mirroring.key("dev", 3)] = FIVE[2]
        return listed(Prefix=Prefix)

    bucket.filter = busy
    assert mirroring.upload(bucket, "dev", lambda: list(lines), lock_days=3) == 0


def test_a_bucket_that_takes_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    monkeypatch.setattr(bucket, "put_object", refuse)
    with pytest.raises(DependencyDown, match="takes no ledger/dev/00000001"):
        upload(bucket, FIVE)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    (tmp_path / "Pulumi.dev.yaml").write_text(DEV)
    return Stack("dev", tmp_path)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    found = Bucket()
    monkeypatch.setattr(Stack, "outputs", StackOutputs.read(OUTPUTS))
    monkeypatch.setattr(Stack, "bucket", lambda self: found)
    return found


def test_a_clone_older_than_the_bucket_is_told_before_anything_is_deployed(
    stack: Stack, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stack.directory)
    (stack.directory / "Pulumi.yaml").touch()
    book = ledger.of(stack)
    book.path.parent.mkdir(exist_ok=True)
    book.path.write_bytes(b"".join(FIVE))
    bucket.stored = Bucket(*FIVE[:4]).stored
    assert ferry("verify").exit_code == 0
    assert len(bucket.stored) == 4
    book.path.write_bytes(b"".join(FIVE[:3]))
    refused = ferry("verify")
    assert refused.exit_code == 4
    assert "ends at record 3" in refused.stderr
    assert "make purge STACK=dev" in refused.stderr


def test_what_a_bucket_out_of_reach_missed_the_next_record_makes_up_for(
    stack: Stack, bucket: Bucket
) -> None:
    said: list[str] = []
    bucket.up = False
    add(ledger.of(stack))
    ledger.mirror_if_reachable(stack, said.append)
    assert "warning: the ledger of dev is not mirrored" in said[0]
    assert bucket.stored == {}
    bucket.up = True
    add(ledger.of(stack), at=NOON)
    ledger.mirror_if_reachable(stack, said.append)
    assert list(bucket.stored.values()) == ledger.of(stack).lines()
    assert len(said) == 1


def test_a_stack_that_was_never_up_has_no_mirror_and_that_is_a_warning(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: Stack) -> None:
        raise NeverUp("dev was never brought up here")

    monkeypatch.setattr(Stack, "bucket", never)
    said: list[str] = []
    add(ledger.of(stack))
    ledger.mirror_if_reachable(stack, said.append)
    assert "never brought up" in said[0]


def test_a_broken_ledger_is_not_mirrored(stack: Stack, bucket: Bucket) -> None:
    path = ledger.of(stack).path
    path.parent.mkdir()
    path.write_bytes(b"".join([FIVE[0], *FIVE[2:]]))
    with pytest.raises(GateRefused, match="line 2"):
        ledger.mirror(stack)
    assert bucket.stored == {}


def test_a_fork_is_never_a_mere_warning(stack: Stack, bucket: Bucket) -> None:
    add(ledger.of(stack))
    ledger.mirror(stack)
    ledger.of(stack).path.unlink()
    add(ledger.of(stack), who="eve@ferry.test")
    with pytest.raises(Conflict, match="line 1"):
        ledger.mirror_if_reachable(stack, lambda _: None)
