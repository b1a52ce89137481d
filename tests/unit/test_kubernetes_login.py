"""Logins by a command that a kubeconfig names, and the command `aws` that the lab has for it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.standins.kubernetes import kubeconfig
from lab.standins.provider import ProviderError

V1 = "client.authentication.k8s.io/v1"
Answering = Callable[..., Callable[[], Mapping[str, str]]]


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    """`answering(status, more…)`: the login of a user whose command answers so."""

    def make(
        status: dict[str, Any] | None,
        version: str = V1,
        **more: Any,  # noqa: ANN401
    ) -> Callable[[], Mapping[str, str]]:
        answer = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})
        command = tmp_path / "who"
        command.write_text(
            f"#!/bin/sh\necho x >> {tmp_path}/asked\n{more.pop('body', '')}\ncat <<E\n{answer}\nE\n"
        )
        command.chmod(0o755)
        user = {"exec": {"apiVersion": version, "command": "./who", **more}}
        config = {
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "http://a"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": user}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        return kubeconfig.load(str(tmp_path / "config"), None).login

    return make


def in_(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def asked(folder: Path) -> int:
    return len((folder / "asked").read_text().split())


def test_a_token_is_asked_for_once_while_it_lasts(answering: Answering, tmp_path: Path) -> None:
    login = answering({"token": "t", "expirationTimestamp": in_(600)})
    assert not (tmp_path / "asked").exists()  # only who sends a request logs in
    assert login() == login() == {"Authorization": "Bearer t"}
    assert asked(tmp_path) == 1


def test_a_token_is_asked_for_again_before_it_ends(answering: Answering, tmp_path: Path) -> None:
    login = answering({"token": "t", "expirationTimestamp": in_(20)})
    login()
    login()
    assert asked(tmp_path) == 2


def test_the_command_is_told_what_is_expected_and_what_its_user_set(answering: Answering) -> None:
    body = '[ "$EXTRA" = yes ] && echo "$KUBERNETES_EXEC_INFO" | grep -q ExecCredential || exit 7'
    login = answering({"token": "t"}, body=body, env=[{"name": "EXTRA", "value": "yes"}])
    assert login() == {"Authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("status", "more", "words"),
    [
        ({"token": "t"}, {"body": "echo no role >&2; exit 1"}, "'./who' failed: no role"),
        ({"token": "t"}, {"command": "/nowhere", "installHint": "get it"}, "get it"),
        ({}, {}, "neither a token nor a certificate"),
        ({"token": "t"}, {"version": f"{V1}beta1"}, "no ExecCredential of"),
        ({"token": "t"}, {"body": "echo nothing; exit 0"}, "no ExecCredential of"),
    ],
)
def test_an_answer_that_is_no_login_names_the_command(
    answering: Answering, status: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ProviderError, match="the login command") as caught:
        answering(status, **more)()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"version": "v0"}, "need one of"), ({"provideClusterInfo": True}, "is not covered")],
)
def test_what_no_command_is_asked_by_is_refused_at_once(
    answering: Answering, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ProviderError, match=words):
        answering({"token": "t"}, **more)


@pytest.mark.parametrize(
    ("user", "given"),
    [
        ({"token": "t"}, {"token": "t"}),
        (
            {"client-certificate": "crt", "client-key-data": "a2V5"},
            {"clientCertificateData": "certificate", "clientKeyData": "key"},
        ),
    ],
)
def test_the_lab_s_aws_gives_the_login_of_the_api_server_that_stands_in(
    tmp_path: Path, user: dict[str, str], given: dict[str, str]
) -> None:
    (tmp_path / "crt").write_text("certificate")
    (tmp_path / "config").write_text(yaml.safe_dump({"users": [{"name": "u", "user": user}]}))
    done = aws({"FERRY_REHEARSAL_KUBECONFIG": str(tmp_path / "config")})
    answer = json.loads(done.stdout)
    expires = datetime.fromisoformat(answer["status"].pop("expirationTimestamp"))
    assert timedelta(minutes=13) < expires - datetime.now(UTC) < timedelta(minutes=15)
    assert answer["status"] == given
    assert answer["apiVersion"] == f"{V1}beta1"


def test_the_lab_s_aws_says_what_it_lacks() -> None:
    done = aws({})
    assert done.returncode == 1
    assert "make rehearse" in done.stderr


def aws(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FERRY_")}
    arguments = ("eks", "get-token", "--region", "eu-west-1", "--cluster-name", "c")
    return subprocess.run(
        [sys.executable, "-m", "lab.standins.aws_command", *arguments],
        capture_output=True,
        text=True,
        env={**kept, **variables},
    )
