"""The program of the two Jobs: a copy is whole, and is put back whole or not at all."""

import gzip
import hashlib
import io
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from components.mlflow import backup
from components.mlflow.backup import Refused, key, pack, put_back, unpack

NOW = datetime(2026, 11, 30, 2, 17, tzinfo=UTC)
STAMP = "20261130T021700Z"


class Killed(BaseException):
    """SIGKILL, in the place where it strikes."""


def database(path: Path, *names: str) -> bytes:
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE IF NOT EXISTS models (name TEXT)")
        made.executemany("INSERT INTO models VALUES (?)", [(name,) for name in names])
    return path.read_bytes()


def rows(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as opened:
        return [name for (name,) in opened.execute("SELECT name FROM models")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The server's volume: a registry with a model, and its logins."""
    folder = tmp_path / "data"
    folder.mkdir()
    database(folder / "mlflow.db", "loans")
    database(folder / "auth.db", "admin")
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def nothing(drafts: Path) -> None:
    """Makes nothing of the drafts."""


def held(folder: Path) -> dict[str, bytes]:
    """The files that do not lie beside another."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_copy_holds_both_databases_and_is_named_by_time_and_bytes(
    data: Path, scratch: Path
) -> None:
    content = pack(data, scratch)
    name = key(content, NOW)
    digest = hashlib.sha256(content).hexdigest()
    assert name == f"backups/mlflow/{STAMP}-{digest}.tar.gz"
    found = unpack(name, content)
    assert list(found) == ["mlflow.db", "auth.db"]
    for each, bytes_ in found.items():
        (scratch / "look.db").write_bytes(bytes_)
        assert rows(scratch / "look.db") == rows(data / each)


def test_the_same_databases_are_the_same_bytes_and_the_volume_stays_as_it_is(
    data: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(data)
    data.chmod(0o500)  # as it is mounted
    first = pack(data, scratch)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert pack(data, scratch) == first
    data.chmod(0o700)
    assert held(data) == before


def test_logins_need_not_be_there_but_a_registry_must(data: Path, scratch: Path) -> None:
    (data / "auth.db").unlink()
    content = pack(data, scratch)
    assert list(unpack(key(content, NOW), content)) == ["mlflow.db"]
    (data / "mlflow.db").unlink()
    with pytest.raises(Refused, match=r"there is no .*mlflow\.db"):
        pack(data, scratch)
    assert held(data) == {}


def test_a_copy_is_of_one_instant_while_the_server_writes(data: Path, scratch: Path) -> None:
    with closing(sqlite3.connect(data / "mlflow.db", isolation_level=None)) as server:
        server.execute("BEGIN IMMEDIATE")
        server.execute("INSERT INTO models VALUES ('half way')")
        content = pack(data, scratch)
        server.execute("COMMIT")
    (scratch / "look.db").write_bytes(unpack(key(content, NOW), content)["mlflow.db"])
    assert rows(scratch / "look.db") == ["loans"]
    assert rows(data / "mlflow.db") == ["loans", "half way"]


def test_a_crashed_registry_is_repaired_by_its_server_and_copied_at_a_later_try(
    data: Path, scratch: Path
) -> None:
    crashed(data)
    before = held(data)
    with pytest.raises(sqlite3.OperationalError):
        pack(data, scratch)
    assert held(data) == before


@pytest.mark.parametrize("name", ["mlflow.db", "auth.db"])
def test_a_damaged_database_is_not_copied(data: Path, scratch: Path, name: str) -> None:
    (data / name).write_bytes(b"no database " * 500)
    with pytest.raises(Refused, match="no whole database"):
        pack(data, scratch)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: b"",
    ],
    ids=["cut", "longer", "a bit", "empty"],
)
def test_bytes_that_are_not_what_their_name_says_are_refused(
    data: Path, scratch: Path, spoil: Callable[[bytes], bytes]
) -> None:
    content = pack(data, scratch)
    with pytest.raises(Refused, match="others than its name says"):
        unpack(key(content, NOW), spoil(content))


def archived(**files: bytes) -> bytes:
    whole = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=whole, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content in files.items():
            about = tarfile.TarInfo(name.replace("_", "."))
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return whole.getvalue()


def test_an_archive_without_a_registry_is_refused() -> None:
    content = archived(auth_db=b"")
    with pytest.raises(Refused, match=r"holds no mlflow\.db"):
        unpack(key(content, NOW), content)


def test_what_was_there_stays_beside_what_is_put_in_its_place(data: Path, scratch: Path) -> None:
    copy = pack(data, scratch)
    later = database(data / "mlflow.db", "made later")
    put_back(unpack(key(copy, NOW), copy), data, NOW, nothing)
    assert rows(data / "mlflow.db") == ["loans"]
    assert (data / f"mlflow.db.before-{STAMP}").read_bytes() == later
    assert sorted(held(data)) == [
        name + end for name in ("auth.db", "mlflow.db") for end in ("", f".before-{STAMP}")
    ]


def test_a_deleted_database_comes_back_and_once_more_changes_nothing(
    data: Path, scratch: Path
) -> None:
    copy = pack(data, scratch)
    found = unpack(key(copy, NOW), copy)
    for name in found:
        (data / name).unlink()
    put_back(found, data, NOW, nothing)
    before = held(data)
    assert sorted(before) == ["auth.db", "mlflow.db"]
    put_back(found, data, NOW + timedelta(hours=1), nothing)
    assert held(data) == before


def test_a_damaged_copy_touches_nothing(data: Path) -> None:
    before = held(data)
    with pytest.raises(Refused, match="no whole database"):
        put_back({"mlflow.db": b"no database " * 500}, data, NOW, nothing)
    assert held(data) == before


def test_what_cannot_be_made_ready_touches_nothing(data: Path, scratch: Path) -> None:
    copy = pack(data, scratch)
    database(data / "mlflow.db", "made later")
    before = held(data)

    def refuse(drafts: Path) -> None:
        assert rows(drafts / "mlflow.db") == ["loans"]
        raise Refused("the tables are newer than this MLflow")

    with pytest.raises(Refused, match="newer"):
        put_back(unpack(key(copy, NOW), copy), data, NOW, refuse)
    assert held(data) == before


def crashed(folder: Path) -> list[str]:
    """A registry whose server died in the middle of a transaction; what it held before that."""
    place = folder / "mlflow.db"
    database(place, *("x" * 900 for _ in range(200)))
    before = rows(place)
    with closing(sqlite3.connect(place, isolation_level=None)) as server:
        server.execute("PRAGMA cache_size = 1")  # so that it writes before it commits
        server.execute("BEGIN")
        server.execute("UPDATE models SET name = 'torn' || name")
        journal, torn = (folder / "mlflow.db-journal").read_bytes(), place.read_bytes()
        server.execute("ROLLBACK")
    place.write_bytes(torn)
    assert rows(place) != before
    (folder / "mlflow.db-journal").write_bytes(journal)
    return before


def test_the_journal_of_a_crashed_server_goes_with_its_database(data: Path, scratch: Path) -> None:
    database(scratch / "other.db", *(f"model {number}" for number in range(500)))
    before = crashed(data)
    put_back({"mlflow.db": (scratch / "other.db").read_bytes()}, data, NOW, nothing)
    assert not (data / "mlflow.db-journal").exists()
    assert len(rows(data / "mlflow.db")) == 500
    # Opened, it is rolled back as the server would have done.
    assert rows(data / f"mlflow.db.before-{STAMP}") == before


class Killer:
    """Strikes before the n-th thing that `put_back` does to the volume."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.at, self.done = at, 0
        for owner, name in (
            (backup.os, "link"),
            (backup.os, "replace"),
            (backup.shutil, "rmtree"),
            (Path, "unlink"),
            (Path, "mkdir"),
            (Path, "write_bytes"),
        ):
            monkeypatch.setattr(owner, name, self._struck(getattr(owner, name)))

    def _struck(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            self.done += 1
            if self.done == self.at:
                raise Killed
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=1)], ids=["at once", "later"])
@pytest.mark.parametrize("at", range(1, 16))
def test_killed_anywhere_and_made_again_it_ends_the_same_and_loses_nothing(
    data: Path, scratch: Path, at: int, later: timedelta
) -> None:
    copy = pack(data, scratch)
    database(data / "auth.db", "made later")
    before = crashed(data)
    found = unpack(key(copy, NOW), copy)
    with pytest.MonkeyPatch.context() as patched:
        killer = Killer(patched, at)
        try:
            put_back(found, data, NOW, nothing)
            assert killer.done < at
        except Killed:
            # What is kept is whole: once it has its name, its journal has.
            kept = data / f"mlflow.db.before-{STAMP}"
            assert not kept.exists() or rows_of_a_copy(kept, scratch) == before
    put_back(found, data, NOW + later, nothing)
    assert {name: (data / name).read_bytes() for name in found} == found
    assert [path.name for path in data.iterdir() if path.is_dir()] == []
    kept_before = [rows_of_a_copy(path, scratch) for path in data.glob("mlflow.db.before-*Z")]
    assert before in kept_before
    assert ["admin", "made later"] in [rows(path) for path in data.glob("auth.db.before-*")]


def rows_of_a_copy(place: Path, scratch: Path) -> list[str]:
    """Its rows, without letting SQLite repair the volume's own."""
    for end in ("", "-journal"):
        (scratch / f"look.db{end}").unlink(missing_ok=True)
        if Path(f"{place}{end}").exists():
            (scratch / f"look.db{end}").write_bytes(Path(f"{place}{end}").read_bytes())
    return rows(scratch / "look.db")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """As much of boto3 as the program uses."""
    stored: dict[str, dict[str, Any]] = {}

    def read(name: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(stored[name]["Body"])}

    found = SimpleNamespace(
        put_object=lambda **options: stored.update({options.pop("Key"): options}),
        Object=lambda name: SimpleNamespace(get=partial(read, name)),
    )
    monkeypatch.setattr(boto3, "resource", lambda kind: SimpleNamespace(Bucket=lambda _: found))
    monkeypatch.setenv("FERRY_BUCKET", "ferry-dev")
    monkeypatch.setenv("FERRY_LOCK_DAYS", "3")
    monkeypatch.delenv("BACKUP_KEY", raising=False)
    return SimpleNamespace(stored=stored)


def program(data: Path, *arguments: str) -> int:
    return backup.main(list(arguments), data)


def test_a_copy_is_stored_once_and_locked(
    bucket: SimpleNamespace, data: Path, scratch: Path
) -> None:
    assert program(data, "take", str(scratch)) == 0
    ((name, stored),) = bucket.stored.items()
    assert unpack(name, stored["Body"])
    assert (stored["IfNoneMatch"], stored["ObjectLockMode"]) == ("*", "GOVERNANCE")
    until = stored["ObjectLockRetainUntilDate"]
    assert abs(until - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=1)


def test_what_will_never_work_ends_with_a_code_that_is_not_tried_again(
    bucket: SimpleNamespace, data: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program(data, "restore", "none") == 2
    assert program(data, "take", str(scratch)) == 0
    ((name, stored),) = bucket.stored.items()
    stored["Body"] = stored["Body"][:-1]
    monkeypatch.setenv("BACKUP_KEY", name)
    before = held(data)
    assert program(data, "restore", "none") == 3
    (data / "mlflow.db").unlink()
    assert program(data, "take", str(scratch)) == 3
    assert held(data) == {"auth.db": before["auth.db"]}
