"""The program that gives MLflow its users, on an MLflow in memory; killed anywhere, it goes on."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from components.mlflow import logins
from components.mlflow.logins import Refused, Server, make

WANTED: dict[str, Any] = {
    "url": "http://mlflow",
    "admin": {"username": "admin", "password": "a"},
    "roles": {
        "auditor": [["experiment", "*", "READ"], ["registered_model", "*", "READ"]],
        "jobs": [["experiment", "loans", "EDIT"], ["registered_model", "loans", "EDIT"]],
    },
    "users": {
        "ada": {"password": "first", "role": "auditor"},
        "grace": {"password": "second", "role": None},
        "jobs": {"password": "third", "role": "jobs"},
    },
}


class Killed(BaseException):
    """SIGKILL, in the place where it strikes."""


class Mlflow(Server):
    """Answers as 3.17.2 does, as far as it is asked; tests/lab/test_mlflow_logins.py asks one."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {"admin": user(1, admin=True)}
        self.roles: dict[int, dict[str, Any]] = {}
        self.experiments: dict[str, str] = {}
        self.models: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.kill_at = 0
        self.kill_after = False
        self._ids = 1

    def ask(self, method: str, path: str, **told: Any) -> Any:  # noqa: ANN401
        self.calls.append((method, path))
        struck = len(self.calls) == self.kill_at
        if struck and not self.kill_after:
            raise Killed
        try:
            return copy.deepcopy(self._answer(method, path.partition("/mlflow/")[2], told))
        finally:
            if struck:
                raise Killed

    def _answer(self, method: str, path: str, told: dict[str, Any]) -> Any:  # noqa: ANN401
        match method, path:
            case "GET", "roles/list":
                assert told == {"workspace": "default"}
                return {"roles": [*self.roles.values()]}
            case "POST", "roles/create":
                assert told["workspace"] == "default"
                return {"role": self.role(told["name"])}
            case "POST", "roles/permissions/add":
                grant = {**told, "id": self._next()}
                self.roles[grant.pop("role_id")]["permissions"].append(grant)
            case "DELETE", "roles/permissions/remove":
                for role in self.roles.values():
                    role["permissions"] = [
                        each
                        for each in role["permissions"]
                        if each["id"] != told["role_permission_id"]
                    ]
            case "POST", "roles/assign":
                self.users[told["username"]]["roles"].append(self.roles[told["role_id"]])
            case "DELETE", "roles/unassign":
                self.users[told["username"]]["roles"].remove(self.roles[told["role_id"]])
            case "GET", "users/list":
                return {"users": [{**each, "username": n} for n, each in self.users.items()]}
            case "POST", "users/create":
                assert told["username"] not in self.users
                made = self.users[told["username"]] = user(self._next(), told["password"])
                return {"user": {"username": told["username"], "is_admin": made["is_admin"]}}
            case "PATCH", "users/update-password":
                self.users[told["username"]]["password"] = told["password"]
            case "PATCH", "users/update-admin":
                self.users[told["username"]]["is_admin"] = told["is_admin"]
            case "DELETE", "users/delete":
                del self.users[told["username"]]
            case "GET", "experiments/get-by-name":
                found = self._known(self.experiments.get(told["experiment_name"]))
                return {"experiment": {"experiment_id": found}}
            case "POST", "experiments/create":
                assert told["name"] not in self.experiments
                self.experiments[told["name"]] = str(self._next())
                return {"experiment_id": self.experiments[told["name"]]}
            case "GET", "registered-models/get":
                return {"name": self._known(told["name"] if told["name"] in self.models else None)}
            case "POST", "registered-models/create":
                assert told["name"] not in self.models
                self.models.add(told["name"])
            case _:
                raise AssertionError((method, path))
        return {}

    def role(self, name: str) -> dict[str, Any]:
        number = self._next()
        self.roles[number] = {"id": number, "name": name, "permissions": []}
        return self.roles[number]

    def _next(self) -> int:
        self._ids += 1
        return self._ids

    def _known(self, found: str | None) -> str:
        if found is None:
            raise Refused("RESOURCE_DOES_NOT_EXIST", 404)
        return found

    def state(self) -> dict[str, Any]:
        """Who may log in with what, and do what."""
        return {
            name: (each["password"], each["is_admin"], sorted(map(self._grants, each["roles"])))
            for name, each in self.users.items()
        }

    def _grants(self, role: dict[str, Any]) -> list[tuple[str, str, str]]:
        return sorted(
            (each["resource_type"], each["resource_pattern"], each["permission"])
            for each in role["permissions"]
        )


def user(number: int, password: str = "", *, admin: bool = False) -> dict[str, Any]:
    return {"id": number, "is_admin": admin, "password": password, "roles": []}


def expected(mlflow: Mlflow) -> dict[str, Any]:
    reading = [("experiment", "*", "READ"), ("registered_model", "*", "READ")]
    number = mlflow.experiments["loans"]
    writing = [("experiment", number, "EDIT"), ("registered_model", "loans", "EDIT")]
    return {
        "admin": ("", True, []),
        "ada": ("first", False, [reading]),
        "grace": ("second", True, []),
        "jobs": ("third", False, [writing]),
    }


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow()


def test_everybody_who_is_named_has_a_password_and_the_grants_of_one_role(mlflow: Mlflow) -> None:
    make(mlflow, WANTED)
    assert mlflow.state() == expected(mlflow)
    assert mlflow.models == {"loans"}


def test_once_more_makes_nothing_new(mlflow: Mlflow) -> None:
    make(mlflow, WANTED)
    before, roles = mlflow.state(), copy.deepcopy(mlflow.roles)
    mlflow.calls.clear()
    make(mlflow, WANTED)
    assert (mlflow.state(), mlflow.roles) == (before, roles)
    assert {path for method, path in mlflow.calls if method != "GET"} == {
        "2.0/mlflow/users/update-password"
    }


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 26))
def test_killed_at_any_call_it_is_made_again_and_ends_the_same(
    mlflow: Mlflow, at: int, after: bool
) -> None:
    mlflow.kill_at, mlflow.kill_after = at, after
    try:
        make(mlflow, WANTED)
        assert len(mlflow.calls) < at
    except Killed:
        mlflow.kill_at = 0
        make(mlflow, WANTED)
    assert mlflow.state() == expected(mlflow)


def test_who_is_named_no_more_is_gone_and_the_administrator_is_left_alone(mlflow: Mlflow) -> None:
    make(mlflow, WANTED)
    mlflow.users["by-hand"] = user(99, admin=True)
    make(mlflow, {**WANTED, "users": {"jobs": WANTED["users"]["jobs"]}})
    assert mlflow.users.keys() == {"admin", "jobs"}
    assert mlflow.users["admin"] == user(1, admin=True)


def test_another_role_and_another_password_take_the_place_of_the_old(mlflow: Mlflow) -> None:
    make(mlflow, WANTED)
    changed = {"ada": {"password": "new", "role": None}, "grace": {"password": "x", "role": "jobs"}}
    make(mlflow, {**WANTED, "users": {**WANTED["users"], **changed}})
    state = mlflow.state()
    assert state["ada"] == ("new", True, [])
    assert state["grace"] == ("x", False, state["jobs"][2])


def test_grants_and_roles_that_somebody_added_are_taken_away(mlflow: Mlflow) -> None:
    make(mlflow, WANTED)
    auditor = next(role for role in mlflow.roles.values() if role["name"] == "auditor")
    more = {"resource_type": "experiment", "resource_pattern": "*", "permission": "MANAGE"}
    auditor["permissions"].append({**more, "id": 100})
    mlflow.users["ada"]["roles"].append(mlflow.role("mighty"))
    make(mlflow, WANTED)
    assert mlflow.state() == expected(mlflow)


def test_what_a_user_made_itself_stays_its_own(mlflow: Mlflow) -> None:
    make(mlflow, WANTED)
    own = mlflow.role(f"__user_{mlflow.users['ada']['id']}__")
    mlflow.users["ada"]["roles"].append(own)
    make(mlflow, WANTED)
    assert own in mlflow.users["ada"]["roles"]


def test_an_experiment_that_was_made_again_is_granted_by_its_new_id(mlflow: Mlflow) -> None:
    make(mlflow, WANTED)
    mlflow.experiments["loans"] = "77"
    make(mlflow, WANTED)
    assert ("experiment", "77", "EDIT") in mlflow.state()["jobs"][2][0]
    assert mlflow.state() == expected(mlflow)


def test_a_role_that_is_not_told_makes_nobody_an_administrator(mlflow: Mlflow) -> None:
    with pytest.raises(KeyError, match="boss"):
        make(mlflow, {**WANTED, "users": {"ada": {"password": "first", "role": "boss"}}})
    assert not mlflow.users["ada"]["is_admin"]


def test_a_refusal_of_the_server_is_not_taken_for_what_is_not_there(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(found: str | None) -> str:
        raise Refused("not you", 403)

    monkeypatch.setattr(mlflow, "_known", refuse)
    with pytest.raises(Refused, match="not you"):
        make(mlflow, WANTED)
    assert mlflow.experiments == {}


def test_it_reads_one_file_and_says_no_password(
    mlflow: Mlflow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(logins, "Server", lambda *told: asked.append(told) or mlflow)
    (tmp_path / "logins.json").write_text(json.dumps(WANTED))
    logins.main([str(tmp_path / "logins.json")])
    assert asked == [("http://mlflow", WANTED["admin"])]
    assert capsys.readouterr().out == "MLflow has ada, grace, jobs, and its administrator\n"
