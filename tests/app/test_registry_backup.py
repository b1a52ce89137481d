"""MLflow's real database, copied, put back and upgraded by the program of the platform's Jobs."""

import contextlib
import os
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws
from werkzeug.security import check_password_hash, generate_password_hash

from components.mlflow import backup

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 30, 2, 17, tzinfo=UTC)
MODEL = "credit-default"
SEVERAL_BACK = 12  # revisions of the tables: those of an MLflow some minor versions older


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def restored(data: Path, scratch: Path) -> None:
    """Copies the databases, deletes them, and puts the copy back as the Job does."""
    content = backup.pack(data, scratch)
    for path in data.iterdir():
        path.unlink()
    found = backup.unpack(backup.key(content, NOW), content)
    backup.put_back(found, data, NOW, backup.upgrade)


def registry(data: Path) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{data / 'mlflow.db'}")


def test_versions_tags_and_aliases_come_back(data: Path, tmp_path: Path) -> None:
    client = registry(data)
    client.create_registered_model(MODEL)
    for number in (1, 2):
        client.create_model_version(MODEL, f"s3://b/{number}", tags={"ferry.commit": str(number)})
    client.set_registered_model_alias(MODEL, "dev", "2")
    restored(data, tmp_path)
    again = registry(data)
    assert int(again.get_model_version_by_alias(MODEL, "dev").version) == 2
    assert again.get_model_version(MODEL, "1").tags == {"ferry.commit": "1"}
    assert not list(data.glob("*.before-*"))


def test_the_copy_of_an_older_mlflow_is_upgraded_before_it_is_put_in_place(
    data: Path, tmp_path: Path
) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    url = f"sqlite:///{data / 'mlflow.db'}"
    settings = _get_alembic_config(url)
    older = [each.revision for each in ScriptDirectory.from_config(settings).walk_revisions()]
    engine = create_sqlalchemy_engine(url)
    Base.metadata.create_all(engine)
    command.upgrade(settings, older[SEVERAL_BACK])
    engine.dispose()
    with contextlib.closing(sqlite3.connect(data / "mlflow.db")) as old, old:
        old.execute("INSERT INTO registered_models (name) VALUES (?)", (MODEL,))
        old.execute(
            "INSERT INTO model_versions (name, version, current_stage, status)"
            " VALUES (?, 7, 'None', 'READY')",
            (MODEL,),
        )
    restored(data, tmp_path)
    assert registry(data).get_model_version(MODEL, "7").status == "READY"


def test_tables_that_this_mlflow_does_not_know_are_refused_and_nothing_is_touched(
    data: Path, tmp_path: Path
) -> None:
    registry(data).create_registered_model(MODEL)
    with contextlib.closing(sqlite3.connect(data / "mlflow.db")) as newer, newer:
        newer.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    content = backup.pack(data, tmp_path)
    found = backup.unpack(backup.key(content, NOW), content)
    with pytest.raises(backup.Refused, match="ffffffffffff"):
        backup.put_back(found, data, NOW, backup.upgrade)
    assert {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()} == before


def test_the_administrator_has_the_password_of_today_and_nobody_else_another(
    tmp_path: Path,
) -> None:
    ini = tmp_path / "auth.ini"
    ini.write_text("[mlflow]\nadmin_username = admin\nadmin_password = n%w\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "auth.db")) as logins, logins:
        logins.execute("CREATE TABLE users (username TEXT, password_hash TEXT)")
        for name in ("admin", "ana"):
            logins.execute("INSERT INTO users VALUES (?, ?)", (name, generate_password_hash("old")))
    backup.let_in(tmp_path, ini)
    first = (tmp_path / "auth.db").read_bytes()
    with contextlib.closing(sqlite3.connect(tmp_path / "auth.db")) as logins:
        known = dict(logins.execute("SELECT username, password_hash FROM users").fetchall())
    assert check_password_hash(known["admin"], "n%w")
    assert check_password_hash(known["ana"], "old")
    backup.let_in(tmp_path, ini)
    assert (tmp_path / "auth.db").read_bytes() == first
    (tmp_path / "auth.db").unlink()
    backup.let_in(tmp_path, ini)
    assert not (tmp_path / "auth.db").exists()


def test_the_whole_program_with_a_locked_bucket(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ini = tmp_path / "auth.ini"
    ini.write_text("[mlflow]\nadmin_username = admin\nadmin_password = new\n")
    for name, value in {
        "FERRY_BUCKET": "loans",
        "FERRY_LOCK_DAYS": "1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    registry(data).create_registered_model(MODEL)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="loans", ObjectLockEnabledForBucket=True)
        assert backup.main(["take", str(tmp_path)], data) == 0
        (stored,) = s3.list_objects_v2(Bucket="loans")["Contents"]
        assert s3.head_object(Bucket="loans", Key=stored["Key"])["ObjectLockMode"] == "GOVERNANCE"
        (data / "mlflow.db").unlink()
        monkeypatch.setenv("BACKUP_KEY", stored["Key"])
        assert backup.main(["restore", str(ini)], data) == 0
    assert registry(data).get_registered_model(MODEL).name == MODEL
