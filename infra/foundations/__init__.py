"""What a stack stands on; every foundation returns the same record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.bucket_access import Grant
from components.image import ImageRegistry
from components.mlflow_database import Postgres
from components.object_store import Keys
from infra.account import Replica


@dataclass(frozen=True, kw_only=True)
class S3:
    """What Amazon's own store has beyond others."""

    key: pulumi.Output[str]
    """ARN of the key that objects are encrypted with."""
    log_bucket: pulumi.Output[str]
    """Where requests to buckets are written down."""
    grants: Sequence[Grant]
    """Of accounts that are no part's of the platform: its pipelines."""
    account: str
    replica: Replica | None


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where buckets are made: its provider, and how workloads reach what it makes."""

    provider: aws.Provider
    endpoint: pulumi.Output[str]
    internal_endpoint: pulumi.Output[str]
    region: str
    root: Keys | None
    """None: people log in as their cloud lets them."""
    accounts: Mapping[str, Keys]
    """By the names of `infra.accounts`; none where pods have roles of the cloud's."""
    principals: Mapping[str, pulumi.Output[str]]
    """What a bucket's policy calls each of the accounts."""
    ways: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]
    """The ways out to the store, and to whatever gives pods their roles."""
    lives_in: pulumi.Resource | None
    """What takes the buckets with it when it goes."""
    s3: S3 | None = None
    """None: the store is none of Amazon's."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """The stack's registry, and what pods need to pull from it."""

    registry: ImageRegistry
    url: pulumi.Output[str]
    """Where the registry's API answers."""
    docker_config_json: pulumi.Output[str] | None
    """None: nodes log in by themselves."""


@dataclass(frozen=True, kw_only=True)
class FeatureStore:
    """The online store of features, as jobs and servers reach it."""

    connection: pulumi.Output[str]
    """Secret, as Feast takes it."""
    way: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict


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
    postgres: Postgres | None = None
    """MLflow's; None: its databases are on a volume."""
    features: FeatureStore | None = None
    """None: the online store is in the cluster."""
