"""The provider's arguments: which endpoint, whose credentials."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lab.standins.aws import stage
from lab.standins.provider import Properties
from lab.standins.values import has_unknown, unwrap

_TEXTS: Final = frozenset({"accessKey", "secretKey", "token", "region"})
# The SDK sends what is no text as JSON.
_OTHERS: Final = frozenset({"endpoints", "s3UsePathStyle", "insecure", "maxRetries"})
# Of an account that is emulated, also as JSON.
_OF_ACCOUNT: Final = frozenset({"allowedAccountIds", "defaultTags"})
# Checks of AWS itself, which are never made here.
_IGNORED: Final = frozenset(
    {
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "version",
        "pluginDownloadURL",
    }
)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """An S3 endpoint (None: AWS's own) and how to speak to it; None leaves a part to boto3."""

    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = None
    token: str | None = None
    path_style: bool = False
    insecure: bool = False
    max_retries: int | None = None
    accounts: tuple[str, ...] = ()
    """The only ones that may be worked in; empty: any."""
    default_tags: Mapping[str, str] = field(default_factory=dict)


def complaints(args: Properties) -> dict[str, str]:
    """Why arguments cannot be used: argument -> reason. Unknown ones may still turn out well."""
    found = {
        key: f"the provider argument {key} is not covered by the lab's stand-in for aws; "
        "use the official plugin"
        for key in args.keys() - _TEXTS - _others() - _IGNORED
        # The engine's own keys are no arguments.
        if not key.startswith("__")
    }
    for key in sorted(args.keys() & _others()):
        value = unwrap(args[key])
        if not has_unknown(value):
            try:
                _plain(value)
            except json.JSONDecodeError as error:
                found[key] = f"{key} is no JSON: {error}"
    if "endpoints" not in found and not has_unknown(args.get("endpoints")):
        others = {service for each in _endpoints(args) for service in each if each[service]}
        if more := sorted(others - {"s3"}):
            found["endpoints"] = f"only the endpoint of s3 is covered, not {', '.join(more)}"
    return found


def parse(args: Properties) -> Configuration | None:
    """The configuration; None while some of it is unknown, as before the store exists."""
    plain = {key: unwrap(value) for key, value in args.items() if not key.startswith("__")}
    if has_unknown(plain):
        return None
    others = {key: _plain(plain[key]) for key in _others() & plain.keys()}
    environment = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoints = [each["s3"] for each in _endpoints(args) if each.get("s3")]
    return Configuration(
        endpoint=endpoints[0] if endpoints else None,
        region=plain.get("region") or environment or "us-east-1",
        access_key=plain.get("accessKey"),
        secret_key=plain.get("secretKey"),
        token=plain.get("token"),
        path_style=bool(others.get("s3UsePathStyle")),
        insecure=bool(others.get("insecure")),
        max_retries=others.get("maxRetries"),
        accounts=tuple(others.get("allowedAccountIds") or ()),
        default_tags=(others.get("defaultTags") or {}).get("tags") or {},
    )


def _others() -> frozenset[str]:
    return _OTHERS | _OF_ACCOUNT if stage.emulated() else _OTHERS


def _endpoints(args: Properties) -> list[dict[str, str]]:
    return _plain(unwrap(args.get("endpoints"))) or []


def _plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value, or the text of one
    return json.loads(value) if isinstance(value, str) else value
