"""Gives MLflow the users that a file names, with their roles, and no others: a Job runs it."""

import json
import sys
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

_V2, _V3 = "2.0/mlflow", "3.0/mlflow"
_ALL = "default"
"""The workspace of a server without workspaces."""
_OWN = "__user_"
"""Begins the name of a role of MLflow's for one user: what it made, and what it was given alone."""
# A pod is ready a little before its Service leads to it; what was sent is not sent again.
_PATIENCE = Retry(total=None, connect=10, read=0, status=0, other=0, backoff_factor=0.1)

Grant = tuple[str, str, str]
"""A type of resource, the name of one or `*`, and what may be done with it."""


class Refused(Exception):
    """The server's words, and the status that they came with."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


class Server:
    """MLflow, asked as its administrator."""

    def __init__(self, url: str, login: dict[str, str]) -> None:
        self._url, self._session = url, requests.Session()
        self._session.auth = (login["username"], login["password"])
        self._session.trust_env = False
        self._session.mount(url, HTTPAdapter(max_retries=_PATIENCE))

    def ask(self, method: str, path: str, **told: Any) -> Any:  # noqa: ANN401 - JSON
        """Raises `Refused`, and what `requests` raises."""
        sent: dict[str, Any] = {"params": told} if method == "GET" else {"json": told}
        answer = self._session.request(method, f"{self._url}/api/{path}", timeout=(5, 60), **sent)
        if not answer.ok:
            status = answer.status_code
            raise Refused(f"{method} {path}: {status} {answer.text[:500]}", status)
        return answer.json()


def make(server: Server, wanted: dict[str, Any]) -> None:
    """Each step looks at what is there first: a call that was killed is made again."""
    listed = server.ask("GET", f"{_V3}/roles/list", workspace=_ALL)["roles"]
    there = {each["name"]: each for each in listed}
    roles = {
        name: _role(server, name, there.get(name), grants)
        for name, grants in sorted(wanted["roles"].items())
    }
    known = {each["username"]: each for each in server.ask("GET", f"{_V2}/users/list")["users"]}
    for name in sorted(known.keys() - wanted["users"].keys() - {wanted["admin"]["username"]}):
        server.ask("DELETE", f"{_V2}/users/delete", username=name)
    for name, user in sorted(wanted["users"].items()):
        login = {"username": name, "password": user["password"]}
        if name in known:
            server.ask("PATCH", f"{_V2}/users/update-password", **login)
        else:
            made = server.ask("POST", f"{_V2}/users/create", **login)["user"]
            known[name] = {**made, "roles": []}
        _assign(server, known[name], user["role"] and roles[user["role"]])


def _role(server: Server, name: str, there: dict[str, Any] | None, grants: list[Grant]) -> int:
    """The id of the role of that name, which has the `grants` and no others."""
    role = there or server.ask("POST", f"{_V3}/roles/create", workspace=_ALL, name=name)["role"]
    given = {
        (each["resource_type"], each["resource_pattern"], each["permission"]): each["id"]
        for each in role["permissions"]
    }
    needed = {_found(server, *grant) for grant in grants}
    for grant in given.keys() - needed:
        path = f"{_V3}/roles/permissions/remove"
        server.ask("DELETE", path, role_permission_id=given[grant])
    for kind, which, permission in sorted(needed - given.keys()):
        server.ask(
            "POST",
            f"{_V3}/roles/permissions/add",
            role_id=role["id"],
            resource_type=kind,
            resource_pattern=which,
            permission=permission,
        )
    return role["id"]


def _found(server: Server, kind: str, which: str, permission: str) -> Grant:
    """The grant as MLflow has it, where an experiment goes by its id.

    What is granted by name is made before: whoever makes it may do all with it.
    """
    if which != "*" and kind == "experiment":
        path = f"{_V2}/experiments"
        found = _there(server, f"{path}/get-by-name", experiment_name=which)
        made = found["experiment"] if found else server.ask("POST", f"{path}/create", name=which)
        return kind, made["experiment_id"], permission
    if which != "*":
        path = f"{_V2}/registered-models"
        if _there(server, f"{path}/get", name=which) is None:
            server.ask("POST", f"{path}/create", name=which)
    return kind, which, permission


def _there(server: Server, path: str, **asked: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return server.ask("GET", path, **asked)
    except Refused as error:
        if error.status == 404:
            return None
        raise


def _assign(server: Server, user: dict[str, Any], role: int | None) -> None:
    """The `role` and no other but the user's own; None: it is an administrator."""
    has = {each["id"] for each in user["roles"] if not each["name"].startswith(_OWN)}
    asked = {"username": user["username"]}
    if user["is_admin"] != (role is None):
        server.ask("PATCH", f"{_V2}/users/update-admin", **asked, is_admin=role is None)
    for other in sorted(has - {role}):
        server.ask("DELETE", f"{_V3}/roles/unassign", **asked, role_id=other)
    if role is not None and role not in has:
        server.ask("POST", f"{_V3}/roles/assign", **asked, role_id=role)


def main(arguments: list[str]) -> None:
    """`FILE`, as `components/mlflow_logins.py` writes it; raises what `Server.ask` does."""
    wanted = json.loads(Path(arguments[0]).read_text())
    make(Server(wanted["url"], wanted["admin"]), wanted)
    print(f"MLflow has {', '.join(sorted(wanted['users']))}, and its administrator")


if __name__ == "__main__":
    main(sys.argv[1:])
