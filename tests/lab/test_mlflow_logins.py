"""The program that makes MLflow's users, on a server of the image's packages: who may do what."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from components.mlflow.logins import Server, make
from components.mlflow_logins import JOBS, grants
from lab.rehearsal.services import free_port
from tests.lab.mlflow_packages import interpreter

pytestmark = pytest.mark.lab

MODEL = "credit-default"
ADMIN = {"username": "admin", "password": "a" * 12}
INI = """\
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/auth.db
admin_username = {username}
admin_password = {password}
auth_cache_ttl_seconds = 60
"""
V2, V3 = "2.0/mlflow", "3.0/mlflow"
MAY, MAY_NOT = 200, 403
Ask = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with an empty database and one user, the administrator."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    (folder / "auth.ini").write_text(INI.format(folder=folder, **ADMIN))
    told = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "k",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        *(str(interpreter()), "-m", "mlflow", "server", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port), "--app-name", "basic-auth"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")),
    ]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, env={**os.environ, **told}, stdout=log, stderr=log) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            for attempt in Retrying(
                retry=retry_if_exception_type(requests.ConnectionError),
                stop=stop_after_delay(120),
                wait=wait_fixed(0.5),
                reraise=True,
            ):
                with attempt:
                    requests.get(f"{address}/health", timeout=10).raise_for_status()
            yield address
        finally:
            process.terminate()


def wanted(**people: str | None) -> dict[str, Any]:
    roles: dict[str, str | None] = {JOBS: JOBS, **people}
    users = {name: {"password": name * 12, "role": role} for name, role in roles.items()}
    return {"admin": ADMIN, "roles": grants([MODEL]), "users": users}


@pytest.fixture(scope="module")
def made(url: str) -> str:
    """The server with everybody in it."""
    asked = wanted(ada="data-scientist", alan="auditor", grace=None)
    for _ in range(2):
        make(Server(url, ADMIN), asked)
    return url


@pytest.fixture(scope="module")
def ask(made: str) -> Ask:
    """`ask("ada", "POST", path, key=value)`: what the server answers one of them."""
    session = requests.Session()
    session.trust_env = False

    def answer(who: str, method: str, path: str, **told: Any) -> requests.Response:  # noqa: ANN401 - JSON
        login = (who, ADMIN["password"] if who == ADMIN["username"] else who * 12)
        sent: dict[str, Any] = {"params": told} if method == "GET" else {"json": told}
        return session.request(method, f"{made}/api/{path}", auth=login, timeout=30, **sent)

    return answer


@pytest.fixture(scope="module")
def run(ask: Ask) -> dict[str, str]:
    """Of the jobs': a run in the model's experiment with an artifact, and a version of it."""
    path = f"{V2}/experiments/get-by-name"
    experiment = ask(JOBS, "GET", path, experiment_name=MODEL).json()["experiment"]
    number = experiment["experiment_id"]
    info = ask(JOBS, "POST", f"{V2}/runs/create", experiment_id=number).json()["run"]["info"]
    artifact = f"2.0/mlflow-artifacts/artifacts/{number}/{info['run_id']}/artifacts/a.json"
    assert ask(JOBS, "PUT", artifact).status_code == MAY
    told = {"run_id": info["run_id"], "key": "auc", "value": 0.7, "timestamp": 1}
    assert ask(JOBS, "POST", f"{V2}/runs/log-metric", **told).status_code == MAY
    told = {"name": MODEL, "source": f"runs:/{info['run_id']}/a", "run_id": info["run_id"]}
    version = ask(JOBS, "POST", f"{V2}/model-versions/create", **told).json()["model_version"]
    return {
        "experiment": number,
        "run": info["run_id"],
        "artifact": artifact,
        "version": version["version"],
    }


def writes(run: dict[str, str]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    of = {"run_id": run["run"], "experiment_id": run["experiment"], "name": MODEL}
    of |= {"version": run["version"], "alias": "challenger"}
    metric = {"key": "auc", "value": 0.9, "timestamp": 2}
    return {
        "run": ("POST", f"{V2}/runs/create", of),
        "metric": ("POST", f"{V2}/runs/log-metric", of | metric),
        "artifact": ("PUT", run["artifact"], {}),
        "version": ("POST", f"{V2}/model-versions/set-tag", of | {"key": "k", "value": "v"}),
        "alias": ("POST", f"{V2}/registered-models/alias", of),
    }


def deletions(run: dict[str, str]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    of = {"run_id": run["run"], "experiment_id": run["experiment"], "name": MODEL}
    return {
        "run": ("POST", f"{V2}/runs/delete", of),
        "experiment": ("POST", f"{V2}/experiments/delete", of),
        "version": ("DELETE", f"{V2}/model-versions/delete", of | {"version": run["version"]}),
        "model": ("DELETE", f"{V2}/registered-models/delete", of),
        "alias": ("DELETE", f"{V2}/registered-models/alias", of | {"alias": "challenger"}),
    }


def answered(ask: Ask, who: str, asked: dict[str, tuple[str, str, dict[str, Any]]]) -> set[int]:
    return {ask(who, method, path, **told).status_code for method, path, told in asked.values()}


def test_jobs_write_to_their_model_and_delete_nothing_of_it(ask: Ask, run: dict[str, str]) -> None:
    assert answered(ask, JOBS, writes(run)) == {MAY}
    assert answered(ask, JOBS, deletions(run)) == {MAY_NOT}


@pytest.mark.parametrize("who", ["ada", "alan"])
def test_data_scientists_and_auditors_read_all_of_it_and_write_none(
    ask: Ask, run: dict[str, str], who: str
) -> None:
    assert ask(who, "GET", f"{V2}/runs/get", run_id=run["run"]).status_code == MAY
    assert ask(who, "GET", f"{V2}/registered-models/get", name=MODEL).status_code == MAY
    assert ask(who, "GET", run["artifact"]).status_code == MAY
    found = ask(who, "GET", f"{V2}/model-versions/search").json()["model_versions"]
    assert run["run"] in {each["run_id"] for each in found}
    assert answered(ask, who, writes(run) | deletions(run)) == {MAY_NOT}


def test_jobs_read_nothing_of_anybody_elses(ask: Ask, run: dict[str, str]) -> None:
    made = ask("ada", "POST", f"{V2}/experiments/create", name="adas").json()["experiment_id"]
    path = f"{V2}/experiments/get"
    assert ask(JOBS, "GET", path, experiment_id=made).status_code == MAY_NOT
    assert ask("alan", "GET", path, experiment_id=made).status_code == MAY


def test_a_data_scientist_fills_an_experiment_of_its_own_and_an_auditors_stays_empty(
    ask: Ask,
) -> None:
    metric = {"key": "auc", "value": 0.9, "timestamp": 2}
    for who, may in (("ada", MAY), ("alan", MAY_NOT)):
        made = ask(who, "POST", f"{V2}/experiments/create", name=f"own-{who}").json()
        began = ask(who, "POST", f"{V2}/runs/create", **made).json()["run"]["info"]
        told = {"run_id": began["run_id"], **metric}
        assert ask(who, "POST", f"{V2}/runs/log-metric", **told).status_code == may
        artifact = f"{made['experiment_id']}/{began['run_id']}/artifacts/a.json"
        path = f"2.0/mlflow-artifacts/artifacts/{artifact}"
        assert ask(who, "PUT", path).status_code == may


def test_engineers_alone_administer(ask: Ask) -> None:
    for number, who in enumerate((JOBS, "ada", "alan", "grace")):
        told = {"username": f"made-{number}", "password": "p" * 12}
        may = MAY if who == "grace" else MAY_NOT
        assert ask(who, "POST", f"{V2}/users/create", **told).status_code == may
        told = {"workspace": "default", "name": f"made-{number}"}
        assert ask(who, "POST", f"{V3}/roles/create", **told).status_code == may


@pytest.mark.parametrize("who", [JOBS, "alan"])
def test_what_the_stack_does_not_use_is_not_begun(ask: Ask, who: str) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    told = {"name": f"prompt-of-{who}", "tags": tags}
    answer = ask(who, "POST", f"{V2}/registered-models/create", **told)
    assert answer.status_code == MAY_NOT


def test_another_file_makes_other_people_and_leaves_the_administrator(
    made: str, ask: Ask, run: dict[str, str]
) -> None:
    """The last: it takes everybody's role away."""
    make(Server(made, ADMIN), wanted(alan="data-scientist", grace="auditor"))
    users = ask("admin", "GET", f"{V2}/users/list").json()["users"]
    assert {each["username"]: each["is_admin"] for each in users} == {
        **{"admin": True, "alan": False, "grace": False, JOBS: False},
    }
    assert ask("ada", "GET", f"{V2}/users/current").status_code == 401
    assert answered(ask, "grace", writes(run)) == {MAY_NOT}
    assert ask("alan", "POST", f"{V2}/experiments/create", name="his").status_code == MAY


def test_a_server_that_takes_no_password_of_the_file_is_an_error_with_its_words(
    url: str, tmp_path: Path
) -> None:
    program = Path(__file__).parents[2] / "components" / "mlflow" / "logins.py"
    asked = {**wanted(), "url": url, "admin": {**ADMIN, "password": "wrong"}}
    (tmp_path / "logins.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [str(interpreter()), str(program), str(tmp_path / "logins.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "roles/list: 401 " in done.stderr
    assert "wrong" not in done.stderr
