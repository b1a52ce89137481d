"""A stack whose cloud has the store and the registry: promotion asks the cloud who it is there."""

import base64
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from promotion import amazon
from promotion.refusals import DependencyDown
from promotion.stack import Stack

OUTPUTS: dict[str, Any] = {
    "environment": "live",
    "namespaces": dict.fromkeys(("platform", "monitoring", "models", "jobs"), "n"),
    "bucket": {"name": "b", "endpoint": "https://s3.amazonaws.com", "region": "eu-west-1"},
    "registry": {"url": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"},
    "mlflow": {"url": "http://m", "internalUrl": "http://m"},
    "credentials": {"mlflow": {"username": "u", "password": "p"}},
}
LOGINS = {
    "objectStore": {"accessKey": "a", "secretKey": "s"},
    "registry": {"username": "r", "password": "w"},
}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere")


def stack(monkeypatch: pytest.MonkeyPatch, logins: dict[str, Any]) -> Stack:
    credentials = OUTPUTS["credentials"] | logins
    monkeypatch.setattr(Stack, "_raw", OUTPUTS | {"credentials": credentials})
    return Stack("live", Path())


def test_a_registry_without_a_login_in_the_stack_is_amazons_which_gives_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = boto3.client("ecr", region_name="eu-west-1")
    token = base64.b64encode(b"AWS:a:token").decode()
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(boto3, "client", lambda *of, **where: given.append(where) or asked)
    with Stubber(asked) as stub:
        answer = {"authorizationData": [{"authorizationToken": token}]}
        stub.add_response("get_authorization_token", answer)
        assert stack(monkeypatch, {}).registry_login == ("AWS", "a:token")
    (where,) = given
    assert where.pop("config").read_timeout == amazon.SECONDS
    assert where == {"region_name": "eu-west-1"}


def test_who_is_nobody_in_the_account_is_told_that_no_login_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(boto3, "client", refuse)
    with pytest.raises(DependencyDown, match="eu-west-1 gives no login: Unable to locate"):
        _ = stack(monkeypatch, {}).registry_login


def test_a_registry_of_the_stacks_own_has_its_login_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stack(monkeypatch, LOGINS).registry_login == ("r", "w")


@pytest.mark.parametrize(
    ("logins", "endpoint"),
    [({}, "http://elsewhere"), (LOGINS, "https://s3.amazonaws.com")],
    ids=["a cloud's store", "the stack's own"],
)
def test_a_clouds_store_is_where_the_environment_says_and_a_stacks_own_where_it_says(
    monkeypatch: pytest.MonkeyPatch, logins: dict[str, Any], endpoint: str
) -> None:
    assert stack(monkeypatch, logins).bucket().meta.client.meta.endpoint_url == endpoint
