"""Copies MLflow's databases into the stack's bucket, and puts a copy back: two Jobs run it."""

import gzip
import hashlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from configparser import ConfigParser
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

PREFIX = "backups/mlflow/"
REGISTRY, LOGINS = "mlflow.db", "auth.db"
_DATA = Path("/data")
_DRAFTS = ".restore"
_BESIDE = ("", "-journal", "-wal", "-shm")
"""What a database consists of, by the ends of its files' names."""
_USAGE, _FINAL = 2, 3


class Refused(Exception):
    """The same however often it is tried, and nothing was touched."""


def pack(data: Path, scratch: Path) -> bytes:
    """The databases in `data` as one archive: each whole, as it was at one instant.

    A server may write meanwhile. Raises `Refused` where there is no registry or it is damaged.
    """
    archive = io.BytesIO()
    # No times and no owners: the same databases are the same bytes.
    with (
        gzip.GzipFile(fileobj=archive, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as files,
    ):
        for name in (REGISTRY, LOGINS):
            if not (data / name).exists():
                if name == REGISTRY:
                    raise Refused(f"there is no {data / name}")
                continue
            try:
                _copy(data / name, scratch / name)
            except sqlite3.OperationalError:
                raise  # such as one that is locked: not so for long
            except sqlite3.DatabaseError as error:
                raise Refused(f"{data / name} is no whole database: {error}") from error
            content = (scratch / name).read_bytes()
            about = tarfile.TarInfo(name)
            about.size = len(content)
            files.addfile(about, io.BytesIO(content))
    return archive.getvalue()


def key(content: bytes, now: datetime) -> str:
    """Where a copy stands in the bucket: when it was taken, and what it holds."""
    digest = hashlib.sha256(content).hexdigest()
    return f"{PREFIX}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}.tar.gz"


def unpack(name: str, content: bytes) -> dict[str, bytes]:
    """The databases by file name. Raises `Refused` for bytes that are not what `name` says."""
    if not name.endswith(f"-{hashlib.sha256(content).hexdigest()}.tar.gz"):
        raise Refused(f"the bytes of {name} are others than its name says")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as files:
        members = {each.name: files.extractfile(each) for each in files}
        found = {each: file.read() for each in (REGISTRY, LOGINS) if (file := members.get(each))}
    if REGISTRY not in found:
        raise Refused(f"{name} holds no {REGISTRY}")
    return found


def put_back(
    databases: dict[str, bytes], data: Path, now: datetime, ready: Callable[[Path], None]
) -> None:
    """Put `databases` in the place of those in `data`, which stay beside them.

    No process may have them open. All is made ready in drafts first: what `ready`, given their
    folder, raises is raised before anything is touched. A call that was killed can be made again.
    """
    drafts = data / _DRAFTS
    shutil.rmtree(drafts, ignore_errors=True)
    drafts.mkdir()
    for name, content in databases.items():
        (drafts / name).write_bytes(content)
        try:
            _check(drafts / name)
        except sqlite3.DatabaseError as error:
            raise Refused(f"the copy of {name} is no whole database: {error}") from error
    ready(drafts)
    for name in databases:
        _replace(drafts / name, data / name, f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    shutil.rmtree(drafts)


def upgrade(drafts: Path) -> None:
    """Bring the registry's tables to this image's version. Raises `Refused` where it can't."""
    done = subprocess.run(
        ["mlflow", "db", "upgrade", f"sqlite:///{drafts / REGISTRY}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Refused(f"`mlflow db upgrade` of the copy failed: {done.stdout[-1500:]}")


def let_in(drafts: Path, ini: Path) -> None:
    """Give the administrator the password that the stack has now: it may be another by then."""
    from werkzeug.security import (  # ty: ignore[import-not-found] - it is in the image
        check_password_hash,
        generate_password_hash,
    )

    told = ConfigParser(interpolation=None)
    told.read_string(ini.read_text())
    user, password = told["mlflow"]["admin_username"], told["mlflow"]["admin_password"]
    if not (drafts / LOGINS).exists():
        return
    with closing(sqlite3.connect(drafts / LOGINS)) as logins, logins:
        row = logins.execute("SELECT password_hash FROM users WHERE username = ?", (user,))
        known = row.fetchone()
        if known and not check_password_hash(known[0], password):
            changed = (generate_password_hash(password), user)
            logins.execute("UPDATE users SET password_hash = ? WHERE username = ?", changed)


def _copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    # Only looking: a missing file must not become an empty database.
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=60)) as read,
        closing(sqlite3.connect(target)) as written,
    ):
        read.backup(written)
    _check(target)


def _check(database: Path) -> None:
    with closing(sqlite3.connect(database)) as opened:
        found = opened.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _replace(draft: Path, place: Path, now: str) -> None:
    """The database in `place` gives way to `draft` and stays beside it, named by `now`."""
    present = {end: Path(f"{place}{end}") for end in _BESIDE}
    parts = [end for end, path in present.items() if path.exists()]
    if parts == [""] and place.read_bytes() == draft.read_bytes():
        return
    with draft.open("rb") as whole:
        os.fsync(whole.fileno())
    for end in reversed(parts):  # so that a database that is kept has its journal
        kept = Path(f"{place}.before-{now}{end}")
        if not kept.exists():
            os.link(present[end], kept)
    # A journal of the old database would be played back into the new one.
    for end in filter(None, parts):
        present[end].unlink()
    os.replace(draft, place)
    folder = os.open(place.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def main(arguments: list[str], data: Path = _DATA) -> int:
    """`take SCRATCH`, or `restore INI` of what BACKUP_KEY names. Gives the exit code."""
    import boto3

    now = datetime.now(UTC)
    bucket = boto3.resource("s3").Bucket(os.environ["FERRY_BUCKET"])
    try:
        if arguments[0] == "take":
            content = pack(data, Path(arguments[1]))
            name = key(content, now)
            days = timedelta(days=int(os.environ["FERRY_LOCK_DAYS"]))
            bucket.put_object(
                Key=name,
                Body=content,
                IfNoneMatch="*",
                ObjectLockMode="GOVERNANCE",
                ObjectLockRetainUntilDate=now + days,
            )
            print(f"{name}: {len(content)} bytes")
            return 0
        asked = os.environ.get("BACKUP_KEY")
        if not asked:
            print("BACKUP_KEY names no copy: `ferry restore` makes this Job", file=sys.stderr)
            return _USAGE
        found = unpack(asked, bucket.Object(asked).get()["Body"].read())

        def ready(drafts: Path) -> None:
            upgrade(drafts)
            let_in(drafts, Path(arguments[1]))

        put_back(found, data, now, ready)
        print(f"{', '.join(found)}: as in {asked}")
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return _FINAL
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
