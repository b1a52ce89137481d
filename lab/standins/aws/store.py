"""What the resources need of an S3 endpoint. Free of boto3, which takes long to import."""

from collections.abc import Iterator
from typing import Any, Protocol

from lab.standins.provider import ProviderError


class StoreError(ProviderError):
    """S3 refused the call `call`; `code` is S3's own name for the reason, `reason` its sentence."""

    def __init__(self, call: str, code: str, reason: str) -> None:
        super().__init__(f"{call}: {code}: {reason}")
        self.code = code
        self.reason = reason


class Store(Protocol):
    """The calls of one endpoint, named as boto3 names them. They raise ProviderError."""

    @property
    def endpoint(self) -> str:
        """The endpoint's URL."""
        ...

    @property
    def region(self) -> str: ...

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's
        """The answer to one call (`put_bucket_policy`)."""
        ...

    def pages(self, method: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        """The answers to one listing call, page by page."""
        ...


class Api(Store, Protocol):
    """The calls of a service of which Amazon publishes the messages."""

    def shape(self, method: str) -> Any:  # noqa: ANN401 - botocore's
        """The shape of a call's request."""
        ...

    def check(self, method: str, request: dict[str, Any]) -> None:
        """Raises ProviderError for a request that no such call could be."""
        ...
