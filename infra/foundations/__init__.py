"""What a stack stands on; every foundation returns the same record."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.image import ImageRegistry
from components.object_store import Keys


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where buckets are made: its provider, and how workloads reach what it makes."""

    provider: aws.Provider
    endpoint: pulumi.Output[str]
    internal_endpoint: pulumi.Output[str]
    region: str
    root: Keys
    accounts: Mapping[str, Keys]
    """By the names of `infra.accounts`."""
    lives_in: pulumi.Resource
    """What takes the buckets with it when it goes."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """The stack's registry, and what pods need to pull from it."""

    registry: ImageRegistry
    url: pulumi.Output[str]
    """Where the registry's API answers."""
    docker_config_json: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class Foundation:
    cluster: k8s.Provider
    namespaces: Mapping[str, pulumi.Output[str]]
    """By role: platform, monitoring, models, jobs."""
    store: Store
    images: Images
    answering: Mapping[str, pulumi.Output[str]]
    """By part, the address inside the cluster that answers 200 while the part does."""
    metrics: Mapping[str, str]
    """By workload in the platform's namespace, the name of the port that tells its metrics."""
