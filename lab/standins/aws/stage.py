"""What stands for the parts of an account that the emulator has not: named by the environment."""

import os
from pathlib import Path
from typing import Final

from lab.standins.kubernetes import kubeconfig
from lab.standins.provider import ProviderError

ENDPOINT: Final = "AWS_ENDPOINT_URL"
"""Where the emulated AWS answers, as Amazon's own tools call it."""
KUBERNETES: Final = "FERRY_REHEARSAL_KUBECONFIG"
"""File: the API server that stands for every cluster of EKS'."""
REGISTRY: Final = "FERRY_REHEARSAL_REGISTRY"
"""Host and port of the registry that stands for ECR's."""
NODES: Final = "FERRY_REHEARSAL_SECURITY_GROUP"
"""Id of the security group that stands for the one that EKS makes for nodes and pods."""


def emulated() -> bool:
    """Whether there is an AWS to make things in that is none of Amazon's."""
    return bool(os.environ.get(ENDPOINT))


def registry() -> str:
    """Host and port. Raises ProviderError."""
    return _named(REGISTRY, "registry")


def security_group() -> str:
    """An id. Raises ProviderError."""
    return _named(NODES, "security group of a cluster")


def cluster() -> tuple[str, str]:
    """URL of the API server, and its authority's certificates in base64. Raises ProviderError."""
    return kubeconfig.server(Path(_named(KUBERNETES, "API server")))


def _named(variable: str, what: str) -> str:
    if value := os.environ.get(variable):
        return value
    raise ProviderError(f"no {what} stands in for Amazon's: {variable} is not set; `make rehearse`")
