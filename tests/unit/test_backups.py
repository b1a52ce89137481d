"""Which copy of MLflow's databases is put back, and which are passed over."""

import hashlib
import io
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from components.mlflow import backup as program
from promotion import backups
from promotion.backups import Backup, Version, chosen, listed, of_key, versions
from promotion.refusals import DependencyDown, GateRefused

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
MODEL = "credit-default"


@lru_cache
def copy(*held: Version, deleted: Version | None = None) -> bytes:
    """A copy whose registry has these versions."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE model_versions (name TEXT, version INT, current_stage TEXT)")
        made.executemany("INSERT INTO model_versions VALUES (?, ?, 'None')", held)
        if deleted:
            row = (*deleted, "Deleted_Internal")
            made.execute("INSERT INTO model_versions VALUES (?, ?, ?)", row)
        made.commit()
        content = made.serialize()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        about = tarfile.TarInfo("mlflow.db")
        about.size = len(content)
        tar.addfile(about, io.BytesIO(content))
    return whole.getvalue()


def stored(*copies: tuple[datetime, bytes]) -> dict[str, bytes]:
    """As the program stores them."""
    return {program.key(content, at): content for at, content in copies}


def bucket(objects: dict[str, bytes]) -> SimpleNamespace:
    found = [SimpleNamespace(key=key, size=len(content)) for key, content in objects.items()]
    return SimpleNamespace(objects=SimpleNamespace(filter=lambda Prefix: found))


def choose(
    objects: dict[str, bytes], *wanted: Version, at: datetime | None = None
) -> tuple[Backup, list[str]]:
    said: list[str] = []
    found = chosen(
        listed(bucket(objects)), objects.get, at=at, wanted=frozenset(wanted), say=said.append
    )
    return found, said


def test_the_program_and_the_command_mean_the_same_place_and_name() -> None:
    assert backups.PREFIX == program.PREFIX
    content = copy()
    found = of_key(program.key(content, NOON), len(content))
    assert found is not None
    assert (found.at, found.bytes) == (NOON, len(content))
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert program.REGISTRY == backups._REGISTRY


@pytest.mark.parametrize(
    "key",
    [
        "backups/mlflow/",
        "backups/mlflow/readme.txt",
        "backups/mlflow/20261130T120000Z-abc.tar.gz",
        f"backups/mlflow/20261330T120000Z-{'0' * 64}.tar.gz",
        f"backups/mlflow/20261130T120000Z-{'0' * 64}.tar.gz.part",
        f"20261130T120000Z-{'0' * 64}.tar.gz",
    ],
)
def test_what_is_named_otherwise_is_no_copy(key: str) -> None:
    assert of_key(key, 1) is None


@given(st.text(max_size=120))
def test_any_key_is_a_copy_or_none(key: str) -> None:
    found = of_key(backups.PREFIX + key, 1)
    assert found is None or found.key.endswith(f"-{found.sha256}.tar.gz")


def test_copies_are_listed_newest_first() -> None:
    objects = stored(*((NOON + timedelta(hours=hour), copy()) for hour in (3, 1, 2)))
    assert [each.at.hour for each in listed(bucket(objects))] == [15, 14, 13]


def test_a_bucket_that_does_not_answer_is_told() -> None:
    def down(Prefix: str) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3")

    with pytest.raises(DependencyDown, match="does not list backups/mlflow/"):
        listed(SimpleNamespace(objects=SimpleNamespace(filter=down)))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", copy()[:-20], copy()[:40]],
    ids=["empty", "other bytes", "cut at its end", "its beginning"],
)
def test_bytes_without_a_registry_hold_no_versions(content: bytes) -> None:
    assert versions(content) is None


def test_a_deleted_version_is_not_held() -> None:
    assert versions(copy((MODEL, 1), deleted=(MODEL, 2))) == {(MODEL, 1)}


def test_a_copy_taken_after_the_registry_was_lost_is_passed_over() -> None:
    good, empty = (NOON, copy((MODEL, 7), (MODEL, 8))), (NOON + timedelta(days=1), copy())
    found, said = choose(stored(good, empty), (MODEL, 7))
    assert found.at == NOON
    assert said == [
        f"{program.key(empty[1], empty[0])} is passed over: it has no {MODEL} version 7"
    ]


def test_a_time_takes_a_copy_as_it_is() -> None:
    objects = stored((NOON, copy()), (NOON + timedelta(days=1), copy((MODEL, 7))))
    assert choose(objects, (MODEL, 7), at=NOON)[0].at == NOON
    with pytest.raises(GateRefused, match="of 2026-11-30T11:59:59Z or before that can"):
        choose(objects, at=NOON - timedelta(seconds=1))


def test_one_that_is_listed_and_gone_is_passed_over() -> None:
    found = listed(bucket(stored((NOON, copy()))))
    with pytest.raises(GateRefused, match="no backup that can be put back"):
        chosen(found, lambda key: None, at=None, wanted=frozenset(), say=lambda text: None)


def test_where_no_copy_holds_what_is_pinned_the_way_out_is_named() -> None:
    with pytest.raises(GateRefused, match="Nothing was touched; --at TIME takes one as it is"):
        choose(stored((NOON, copy((MODEL, 6)))), (MODEL, 7))


COPIES = st.lists(
    st.tuples(
        st.integers(0, 50),  # hours
        st.frozensets(st.tuples(st.just(MODEL), st.integers(1, 3))),
        st.booleans(),  # damaged
    ),
    max_size=6,
    unique_by=lambda each: each[0],
)


@given(
    COPIES,
    st.frozensets(st.tuples(st.just(MODEL), st.integers(1, 3)), max_size=2),
    st.none() | st.integers(-1, 51),
)
def test_it_is_the_newest_of_those_that_will_do_and_each_newer_one_is_told_of(
    copies: list[tuple[int, frozenset[Version], bool]],
    wanted: frozenset[Version],
    hour: int | None,
) -> None:
    at = None if hour is None else NOON + timedelta(hours=hour)
    whole = {
        hours: (NOON + timedelta(hours=hours), copy(*sorted(held))) for hours, held, _ in copies
    }
    objects = stored(*whole.values())
    for hours, _, damaged in copies:
        if damaged:
            objects[program.key(whole[hours][1], whole[hours][0])] += b"\0"
    looked_at = [hours for hours in whole if hour is None or hours <= hour]
    good = [
        hours
        for hours, held, damaged in copies
        if hours in looked_at and not damaged and (hour is not None or wanted <= held)
    ]
    if not good:
        with pytest.raises(GateRefused):
            choose(objects, *wanted, at=at)
        return
    found, said = choose(objects, *wanted, at=at)
    assert found.at == NOON + timedelta(hours=max(good))
    assert len(said) == len([hours for hours in looked_at if hours > max(good)])
