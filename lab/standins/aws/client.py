"""An S3 endpoint through boto3, its failures as messages that name the call and the remedy."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.validate import ParamValidator

from lab.standins.aws.configuration import Configuration
from lab.standins.aws.store import StoreError
from lab.standins.provider import ProviderError, Refused

# A store that has just been created may refuse connections for a while: 30 s on average in all.
_ATTEMPTS: Final = 12
# A proxy in front of a store answers for itself until it knows the store.
_PROXY_PATIENCE: Final = 30  # seconds
_NOT_IMPLEMENTED: Final = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented"})
# Some stores take a call they do not know for the one that creates the bucket.
_MISTAKEN: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class Client:
    """An `Api`; `client` is a boto3 client, whose methods no type describes."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401
        region: str,
        sleep: Callable[[float], None] = time.sleep,
        service: str = "s3",
    ) -> None:
        self._client = client
        self._service = service
        self._sleep = sleep
        self.region = region
        self.endpoint: str = client.meta.endpoint_url

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's
        """The answer to one call. Raises StoreError, Refused, ProviderError."""
        for _ in range(_PROXY_PATIENCE):
            try:
                return getattr(self._client, method)(**parameters)
            except (ClientError, BotoCoreError) as error:
                if self._service != "s3" or not _from_proxy(error, method):
                    self._raise(error, method, parameters)
            self._sleep(1)
        raise ProviderError(
            f"{_operation(method)} at {self.endpoint}: no S3 store answered for "
            f"{_PROXY_PATIENCE} s, only something in front of it; is the endpoint right?"
        )

    def pages(self, method: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        """The answers to one listing call. Raises as `call` does."""
        try:
            yield from self._client.get_paginator(method).paginate(**parameters)
        except (ClientError, BotoCoreError) as error:
            self._raise(error, method, parameters)

    def shape(self, method: str) -> Any:  # noqa: ANN401 - botocore's
        """The shape of a call's request."""
        operation = self._client.meta.method_to_api_mapping[method]
        return self._client.meta.service_model.operation_model(operation).input_shape

    def check(self, method: str, request: dict[str, Any]) -> None:
        """Raises ProviderError for a request that no such call could be."""
        report = ParamValidator().validate(request, self.shape(method))
        if report.has_errors():
            raise ProviderError(f"{_operation(method)}: {report.generate_report()}")

    def _raise(
        self, error: ClientError | BotoCoreError, method: str, parameters: dict[str, Any]
    ) -> NoReturn:
        where = "/".join(str(parameters[key]) for key in ("Bucket", "Key") if key in parameters)
        call = f"{_operation(method)} {where} at {self.endpoint}"
        if not isinstance(error, ClientError):
            raise ProviderError(f"{call}: {error}") from None
        code = _code(error)
        if self._service == "s3" and (
            code in _NOT_IMPLEMENTED or (code in _MISTAKEN and method != "create_bucket")
        ):
            raise Refused(
                f"the endpoint {self.endpoint} does not implement {_operation(method)} (it "
                f"answered {code}); declare that this store lacks it, so that the program leaves "
                "the resource out"
            ) from None
        detail: str = error.response.get("Error", {}).get("Message") or "no reason given"
        raise StoreError(call, code, detail) from None


def connect(configuration: Configuration, service: str = "s3") -> Client:
    """A service where a provider's configuration has it. Raises ProviderError."""
    given = configuration
    attempts = _ATTEMPTS if given.max_retries is None else given.max_retries + 1
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        s3={"addressing_style": "path"} if given.path_style else {},
        # Checksums in trailers are unknown to many stores.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = Session().client(
            service,
            region_name=given.region,
            # Only S3's is ever given; boto3 takes others from the environment.
            endpoint_url=given.endpoint if service == "s3" else None,
            aws_access_key_id=given.access_key,
            aws_secret_access_key=given.secret_key,
            aws_session_token=given.token,
            verify=False if given.insecure else None,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise ProviderError(f"the configuration of the provider aws: {error}") from None
    return Client(client, given.region, service=service)


def _from_proxy(error: ClientError | BotoCoreError, method: str) -> bool:
    # S3's codes are words; a number means that something else answered. HEAD has no words.
    return (
        isinstance(error, ClientError)
        and not method.startswith("head_")
        and bool(re.fullmatch(r"404|50[234]", _code(error)))
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _operation(method: str) -> str:
    return "".join(word.capitalize() for word in method.split("_"))
