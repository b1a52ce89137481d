"""Logs in to Amazon's image registry: no stack keeps a login of its, who may is given one."""

import base64

from promotion.refusals import DependencyDown


def login(region: str) -> tuple[str, str]:
    """User and password, good for twelve hours. Raises `DependencyDown`.

    Source: Amazon ECR API, GetAuthorizationToken.
    """
    import boto3  # half a second that most commands don't need
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = boto3.client("ecr", region_name=region).get_authorization_token()
    except (BotoCoreError, ClientError) as error:
        raise DependencyDown(f"Amazon's registry in {region} gives no login: {error}") from error
    (given,) = answer["authorizationData"]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return user, password
