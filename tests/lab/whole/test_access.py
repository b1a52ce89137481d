"""What MLflow answers to whoever has no login, and to a user to whom nothing was given."""

import base64
import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.lab.clone import Clone
from tests.lab.whole.jobs import MODEL, STACK

pytestmark = pytest.mark.lab

API = "/api/2.0/mlflow"
ROLES = {"platform", "monitoring", "models", "jobs"}
LISTED = Path(__file__).parent / "mlflow_routes.py"
# All that is told to everybody: that it lives, what it can do, and the files of its pages.
OPEN = {
    "/health",
    "/api/3.0/mlflow/server-info",
    "/ajax-api/3.0/mlflow/server-info",
    "/static-files/1",
}


class Server:
    """MLflow behind the stack's Ingress, asked by somebody or by nobody."""

    def __init__(self, url: str, login: tuple[str, str] | None = None) -> None:
        self._url, self._session = url, requests.Session()
        self._session.trust_env = False
        self._session.auth = login

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:  # noqa: ANN401
        return self._session.request(
            method, self._url + path, json=body, allow_redirects=False, timeout=30
        )

    def known_as(self, name: str, password: str) -> "Server":
        return Server(self._url, (name, password))


@pytest.fixture(scope="module")
def nobody(clone: Clone, up: str) -> Server:
    return Server(clone.output("mlflow")["url"])


@pytest.fixture(scope="module")
def admin(clone: Clone, nobody: Server) -> Server:
    login = clone.output("credentials")["mlflow"]
    return nobody.known_as(login["username"], login["password"])


@pytest.fixture(scope="module")
def run(admin: Server) -> dict[str, str]:
    """The administrator's: an experiment, a run in it, and a model."""
    made = admin.ask("POST", f"{API}/experiments/create", {"name": "theirs"}).json()
    experiment = made["experiment_id"]
    began = admin.ask("POST", f"{API}/runs/create", {"experiment_id": experiment}).json()
    assert admin.ask("POST", f"{API}/registered-models/create", {"name": "theirs"}).ok
    return {"experiment": experiment, "run": began["run"]["info"]["run_id"]}


@pytest.fixture(scope="module")
def fresh(admin: Server, nobody: Server, run: dict[str, str]) -> Server:
    """A user to whom nothing was given."""
    login = {"username": "fresh", "password": uuid.uuid4().hex}
    assert admin.ask("POST", f"{API}/users/create", login).ok
    return nobody.known_as(login["username"], login["password"])


def test_every_route_asks_for_a_login_but_those_that_tell_nothing(
    clone: Clone, nobody: Server
) -> None:
    told = clone.run(
        *("kubectl", "exec", "--stdin", "deployment/mlflow"),
        *(f"--namespace={STACK}-platform", "--", "python", "-"),
        given=LISTED.read_text(),
    )
    routes = [(method, path) for method, path in json.loads(told.splitlines()[-1])]
    wanted = {f"{API}/experiments/search", f"{API}/users/create", "/metrics", "/graphql"}
    assert wanted | {"/v1/traces", "/version", "/"} <= {path for _, path in routes}
    answered = {}
    for method, path in routes:
        one = re.sub(r"<[^>]*>|\{[^}]*\}", "1", path)
        body = None if method in ("GET", "HEAD", "OPTIONS") else {}
        answered[method, one] = nobody.ask(method, one, body).status_code
    assert {path for (_, path), status in answered.items() if status != 401} == OPEN
    assert answered["GET", "/health"] == 200
    assert answered["GET", "/static-files/1"] == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/{API}/experiments/search",
        f"{API}/experiments/search/",
        "/health/..%2fapi/2.0/mlflow/experiments/search",
        "/static-files/..%2f..%2f..%2fserver/auth/basic_auth.ini",
        "/static-files/%2e%2e/%2e%2e/__init__.py",
        "/no-such-route",
    ],
)
def test_another_spelling_of_a_route_opens_nothing(nobody: Server, path: str) -> None:
    for method in ("GET", "POST"):
        assert nobody.ask(method, path).status_code in (400, 401, 404, 405)


def test_what_is_told_to_everybody_names_no_data(nobody: Server, run: dict[str, str]) -> None:
    told = nobody.ask("GET", "/api/3.0/mlflow/server-info")
    assert told.ok
    assert not {"theirs", run["run"]} & {*re.findall(r"\w+", told.text)}
    assert "://" not in told.text


@pytest.mark.parametrize("password", ["password1234", "password", ""])
def test_the_names_and_passwords_that_mlflow_came_with_open_nothing(
    nobody: Server, password: str
) -> None:
    answer = nobody.known_as("admin", password).ask("GET", "/version")
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "experiments/get?experiment_id={experiment}"),
        ("GET", "runs/get?run_id={run}"),
        ("GET", "registered-models/get?name=theirs"),
        ("POST", "runs/create"),
        ("POST", "runs/log-metric"),
        ("POST", "users/create"),
        ("PATCH", "users/update-admin"),
        ("PATCH", "users/update-password"),
    ],
)
def test_a_user_to_whom_nothing_was_given_is_refused(
    fresh: Server, run: dict[str, str], method: str, path: str
) -> None:
    body = {
        "experiment_id": run["experiment"], "run_id": run["run"],
        "key": "auc", "value": 1.0, "timestamp": 1,
        "username": "admin", "password": uuid.uuid4().hex, "is_admin": True,
    }  # fmt: skip
    asked = f"{API}/{path.format(**run)}"
    assert fresh.ask(method, asked, None if method == "GET" else body).status_code == 403


def test_a_user_to_whom_nothing_was_given_finds_nothing(fresh: Server, run: dict[str, str]) -> None:
    for path, body in (
        ("experiments/search", {"max_results": 10}),
        ("runs/search", {"experiment_ids": [run["experiment"]]}),
    ):
        assert fresh.ask("POST", f"{API}/{path}", body).json() == {}
    for path in ("registered-models/search", "model-versions/search"):
        assert fresh.ask("GET", f"{API}/{path}").json() == {}


def test_a_user_to_whom_nothing_was_given_reads_no_artifact(
    fresh: Server, admin: Server, run: dict[str, str]
) -> None:
    path = f"/api/2.0/mlflow-artifacts/artifacts/{run['experiment']}/{run['run']}/artifacts/a.json"
    assert admin.ask("PUT", path, {}).ok
    assert fresh.ask("GET", path).status_code == 403
    assert fresh.ask("PUT", path, {}).status_code == 403
    assert fresh.ask("GET", "/api/2.0/mlflow-artifacts/artifacts").status_code == 403


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "config"), ("POST", "message"), ("POST", "skills/install")]
)
def test_the_assistant_that_runs_commands_answers_nobody(
    admin: Server, fresh: Server, method: str, path: str
) -> None:
    asked = f"/ajax-api/3.0/mlflow/assistant/{path}"
    for who in (admin, fresh):
        assert who.ask(method, asked, {"message": "id"}).status_code == 403


def test_a_user_may_begin_something_of_its_own(fresh: Server) -> None:
    """When this fails, docs/access.md says too much of what a user may do."""
    assert fresh.ask("POST", f"{API}/experiments/create", {"name": "own"}).ok
    assert fresh.ask("POST", f"{API}/registered-models/create", {"name": "own"}).ok
    assert "admin" in fresh.ask("GET", f"{API}/users/list").text


@pytest.fixture(scope="module")
def people(clone: Clone, nobody: Server) -> dict[str, Server]:
    """Each of the stack file's, and the jobs with the login that their Secret has."""
    logins = clone.output("credentials")["people"].values()
    known = {each["username"]: nobody.known_as(**_named(each)) for each in logins}
    held = ("get", "secrets", f"--namespace={STACK}-jobs", "--output=json")
    for each in json.loads(clone.kubectl(*held))["items"]:
        if password := each.get("data", {}).get("MLFLOW_TRACKING_PASSWORD"):
            known["jobs"] = nobody.known_as("jobs", base64.b64decode(password).decode())
    assert known.keys() == {"ada", "alan", "grace", "jobs"}
    return known


def _named(login: dict[str, str]) -> dict[str, str]:
    return {"name": login["username"], "password": login["password"]}


# Of everybody: what is the administrator's, what is the model's, and who may.
ASKED = {
    "read theirs": ("GET", "experiments/get?experiment_id={experiment}", {"ada", "alan"}),
    "read a run": ("GET", "runs/get?run_id={run}", {"ada", "alan"}),
    "read the model": ("GET", f"registered-models/get?name={MODEL}", {"ada", "alan", "jobs"}),
    "write to a run": ("POST", "runs/log-metric", set()),
    "delete a run": ("POST", "runs/delete", set()),
    "make a run": ("POST", "runs/create", set()),
    "change the model": ("PATCH", "registered-models/update", {"jobs"}),
    "delete the model": ("DELETE", "registered-models/delete", set()),
    "make a user": ("POST", "users/create", set()),
}


@pytest.mark.parametrize("what", ASKED)
def test_each_of_the_people_and_the_jobs_may_do_their_part_alone(
    people: dict[str, Server], run: dict[str, str], what: str
) -> None:
    method, path, may = ASKED[what]
    body = {
        "experiment_id": run["experiment"], "run_id": run["run"], "name": MODEL,
        "key": "auc", "value": 1.0, "timestamp": 1, "username": "more", "password": "p" * 12,
        "description": "",
    }  # fmt: skip
    asked = f"{API}/{path.format(**run)}"
    for who in ("ada", "alan", "jobs"):
        answer = people[who].ask(method, asked, None if method == "GET" else body)
        assert answer.status_code == (200 if who in may else 403), (who, answer.text)


def test_an_engineer_is_an_administrator_and_nobody_else_of_the_people(
    people: dict[str, Server],
) -> None:
    told = {
        name: each.ask("GET", f"{API}/users/current").json()["user"]
        for name, each in people.items()
    }
    assert {name: user["is_admin"] for name, user in told.items()} == {
        **{"ada": False, "alan": False, "grace": True, "jobs": False},
    }
    assert all(user["username"] == name for name, user in told.items())


def may(clone: Clone, group: str, verb: str, what: str, role: str) -> bool:
    """Whether Kubernetes lets somebody of the group, who has no right beside it."""
    kind, _, part = what.partition("/")
    resource, _, of = kind.partition(".")
    # `kubectl auth can-i` knows no kinds that the cluster has not, as Rollouts where none is asked.
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "x",
            "groups": [f"ferry:{STACK}:{group}"],
            "resourceAttributes": {
                "namespace": f"{STACK}-{role}", "verb": verb,
                "group": of, "resource": resource, "subresource": part,
            },
        },
    }  # fmt: skip
    answer = clone.run(
        "kubectl", "create", "--filename=-", "--output=json", given=json.dumps(review)
    )
    return json.loads(answer)["status"]["allowed"]


@pytest.mark.parametrize(
    ("group", "verb", "what", "allowed"),
    [
        ("data-scientists", "list", "jobs.batch", {"jobs", "models"}),
        ("data-scientists", "get", "pods/log", {"jobs", "models"}),
        ("data-scientists", "watch", "rollouts.argoproj.io", {"models"}),
        ("data-scientists", "get", "secrets", set()),
        ("data-scientists", "create", "pods/exec", set()),
        ("data-scientists", "create", "jobs.batch", set()),
        ("auditors", "list", "networkpolicies.networking.k8s.io", ROLES),
        ("auditors", "list", "rolebindings.rbac.authorization.k8s.io", ROLES),
        ("auditors", "get", "pods", ROLES),
        ("auditors", "get", "pods/log", set()),
        ("auditors", "get", "secrets", set()),
        ("auditors", "get", "configmaps", set()),
        ("auditors", "create", "pods/exec", set()),
        ("auditors", "delete", "pods", set()),
    ],
)
def test_a_group_of_people_looks_at_its_namespaces_alone(
    clone: Clone, up: str, group: str, verb: str, what: str, allowed: set[str]
) -> None:
    assert {role for role in ROLES if may(clone, group, verb, what, role)} == allowed
