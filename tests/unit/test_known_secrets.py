"""What is known to be secret of a stack, from its state and its cluster."""

import base64
import gzip
import json
from typing import Any

from tests.lab.known_secrets import in_cluster, in_state, passwords

LOGIN = "mZ4kQ9xT2vLp7WcY8bNdmZ4kQ9xT2vLp7WcY8bNd"
HASH = "bT5rXw0aKz3yVu6qSn1cGt9e"
DEEP = "Hq7pLm2ZsX4vRk8wNj5bTd3f"
TOKEN = "Yc6gFv1uBz9oEx3iQa7hMl4k"
KIND = "random:index/randomPassword:RandomPassword"


def marked(value: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON
    return {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": json.dumps(value),
    }


def resource(name: str, kind: str = "a:b:C", **parts: object) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:dev::ferry::{kind}::{name}", "type": kind, **parts}


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"deployment": {"resources": [*resources]}}


PASSWORD = resource(
    "mlflow-admin", KIND, outputs={"result": marked(LOGIN), "bcryptHash": marked(HASH)}
)


def test_a_password_is_secret_and_so_is_its_hash() -> None:
    assert passwords(state(PASSWORD)) == {"password mlflow-admin": LOGIN}
    assert in_state(state(PASSWORD)) == {
        "password mlflow-admin": LOGIN,
        "state of mlflow-admin 0": HASH,
    }


def test_a_password_that_nobody_marked_is_secret_as_well() -> None:
    plain = resource("login", KIND, outputs={"result": "short-and-plain"})
    assert in_state(state(plain)) == {"password login": "short-and-plain"}


def test_what_the_program_marks_is_secret_at_any_depth_and_what_it_does_not_is_not() -> None:
    given = {"stringData": marked({"f": [f"[a]\n{DEEP}\n"]}), "labels": {"x": TOKEN}}
    assert in_state(state(resource("s", inputs=given))) == {"state of s 0": DEEP}
    assert in_state(state(resource("s", inputs={"env": [{"value": marked(DEEP)}]}))) == {
        "state of s 0": DEEP
    }


def test_a_password_in_a_file_keeps_its_own_name() -> None:
    file = resource("mlflow", inputs={"stringData": marked({"auth.ini": f"password = {LOGIN}"})})
    assert set(in_state(state(file, PASSWORD)).values()) == {LOGIN, HASH}
    assert in_state(state(file, PASSWORD))["password mlflow-admin"] == LOGIN


def held(name: str, data: bytes, key: str = "key") -> dict[str, Any]:
    about = {"namespace": "dev-jobs", "name": name}
    return {"metadata": about, "data": {key: base64.b64encode(data).decode()}}


def test_the_secrets_of_the_cluster_are_added_packed_ones_as_well() -> None:
    empty = {"metadata": {"namespace": "dev-jobs", "name": "empty"}, "data": None}
    found = in_cluster(
        [
            held("one", f"{LOGIN} and {DEEP}".encode()),
            held("two", gzip.compress(f"token: {TOKEN}".encode())),
            empty,
        ],
        {"password mlflow-admin": LOGIN},
    )
    assert found == {
        "password mlflow-admin": LOGIN,
        "Secret dev-jobs/one key 0": DEEP,
        "Secret dev-jobs/two key 0": TOKEN,
    }


def test_what_prometheus_tells_to_everybody_is_no_secret() -> None:
    packed = gzip.compress(f"job_name: {TOKEN}".encode())
    assert in_cluster([held("prometheus-prometheus", packed, "prometheus.yaml.gz")], {}) == {}
    assert in_cluster([held("alertmanager-generated", packed, "alertmanager.yaml.gz")], {}) != {}
