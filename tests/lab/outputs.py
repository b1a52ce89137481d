"""Where a stack's outputs lead: its bucket and its MLflow, for who may read the logins in them."""

from collections.abc import Callable
from typing import Any

import boto3
import requests

Output = Callable[[str], Any]
"""An output by its name, in the clear."""


def bucket(output: Output) -> Any:  # noqa: ANN401 - boto3 has no types of its own
    """The stack's bucket, as the store's root."""
    at, keys = output("bucket"), output("credentials")["objectStore"]
    store = boto3.resource(
        "s3",
        endpoint_url=at["endpoint"],
        region_name=at["region"],
        aws_access_key_id=keys["accessKey"],
        aws_secret_access_key=keys["secretKey"],
    )
    return store.Bucket(at["name"])


def mlflow(output: Output, path: str, method: str = "GET", **given: Any) -> Any:  # noqa: ANN401
    """The JSON that MLflow answers its administrator; `given` goes to `requests`."""
    login = output("credentials")["mlflow"]
    answer = requests.request(
        method,
        f"{output('mlflow')['url']}/api/2.0/mlflow/{path}",
        auth=(login["username"], login["password"]),
        timeout=30,
        **given,
    )
    assert answer.ok, answer.text
    return answer.json()
