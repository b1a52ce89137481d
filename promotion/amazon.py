"""What promotion asks of Amazon's APIs: a bucket, and a login to the image registry."""

import base64
from collections.abc import Mapping
from typing import Any

from promotion.refusals import DependencyDown

SECONDS = 20
"""That a service may be silent, three times over."""


def bucket(name: str, region: str, endpoint: str | None, keys: Mapping[str, str]) -> Any:  # noqa: ANN401 - boto3 has no types of its own
    """A bucket as a boto3 resource; without an endpoint where boto3 itself, or AWS_ENDPOINT_URL_S3,
    says that the store is, and without keys as whoever boto3 finds to be logged in."""
    import boto3  # half a second that most commands don't need

    store = boto3.resource(
        "s3", endpoint_url=endpoint, region_name=region, config=_patience(), **keys
    )
    return store.Bucket(name)


def registry_login(region: str) -> tuple[str, str]:
    """User and password, good for twelve hours. Raises `DependencyDown`.

    Source: Amazon ECR API, GetAuthorizationToken.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        ecr = boto3.client("ecr", region_name=region, config=_patience())
        answer = ecr.get_authorization_token()
    except (BotoCoreError, ClientError) as error:
        raise DependencyDown(f"Amazon's registry in {region} gives no login: {error}") from error
    (given,) = answer["authorizationData"]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return user, password


def _patience() -> Any:  # noqa: ANN401
    from botocore.config import Config

    return Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 3})
