"""An online store with the model's rows, and what a server reads of it."""

import asyncio
import dataclasses
import datetime
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis
from conftest import MODEL, SCHEMA

from app import features, snapshots
from app.definition import Definition
from app.serving import online
from app.serving.service import Rejected

DATASET = MODEL.dataset
DAY = DATASET.last_day
NAMES = list(SCHEMA.names)
PASSWORD = "of-the-tests"


# What the platform lets its callers do, see components/online_store.py.
USERS = f"user default on >{PASSWORD} ~* &* +@all -@admin -@dangerous\n"


@dataclasses.dataclass(frozen=True)
class Server:
    """A Redis of the tests' own."""

    connection: str
    process: subprocess.Popen[bytes]


@contextmanager
def serving(folder: Path, *, tls: bool = False) -> Generator[Server]:
    """A running Redis, whose files are in the folder.

    With `tls` it takes nothing else; SSL_CERT_FILE must then name the folder's authority.pem.
    """
    binary = shutil.which("redis-server")
    assert binary, "there is no redis-server on PATH; install Debian's redis-server"
    (folder / "users.acl").write_text(USERS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--save", "", "--aclfile", "users.acl"]
    options += _tls(folder, port) if tls else ["--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, *options], cwd=folder, stdout=log, stderr=log)
    try:
        address = f"localhost:{port},ssl=true" if tls else f"127.0.0.1:{port}"
        found = Server(f"{address},password={PASSWORD}", process)
        deadline = time.monotonic() + 20
        with redis.Redis(**online.options(found.connection)) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.05)
        yield found
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


def _tls(folder: Path, port: int) -> list[str]:
    """The options of a Redis with a certificate of its own, for localhost."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", folder / "key.pem", "-out", folder / "authority.pem"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        stderr=subprocess.DEVNULL,
        check=True,
    )
    files = ["--tls-cert-file", "authority.pem", "--tls-key-file", "key.pem"]
    return ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", *files]


def snapshot_of(bucket: snapshots.Bucket, table: pd.DataFrame) -> snapshots.Snapshot:
    return snapshots.Snapshot.parse(snapshots.write(bucket, DATASET, table, DAY)[0])


def materialise(
    server: Server, table: pd.DataFrame, model: Definition = MODEL, day: datetime.date = DAY
) -> dict[str, int]:
    key = f"data/{DATASET.name}/{day.isoformat()}.parquet"
    snapshot = snapshots.Snapshot(key=key, version_id="1", sha256="0" * 64)
    return features.materialise(model, table, snapshot, server.connection)


def rows(connection: str, ids: Sequence[Any]) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        found = online.connect(connection, model=MODEL.name, key=DATASET.key, schema=SCHEMA)
        try:
            return await found.rows(ids)
        finally:
            await found.close()

    return asyncio.run(ask())


def rejected(connection: str, ids: Sequence[Any]) -> Rejected:
    with pytest.raises(Rejected) as caught:
        rows(connection, ids)
    return caught.value


def with_lifetime(days: int) -> Definition:
    lifetime = datetime.timedelta(days=days)
    return dataclasses.replace(MODEL, dataset=dataclasses.replace(DATASET, lifetime=lifetime))


def history(loans: pd.DataFrame, days: Sequence[int]) -> pd.DataFrame:
    """One loan on several days of January; its amount tells which."""
    table = pd.concat([loans.head(1)] * len(days), ignore_index=True)
    table[DATASET.time] = [f"2016-01-{day:02d}" for day in days]
    table["funded_amnt"] = [1000 + day for day in days]
    return table
