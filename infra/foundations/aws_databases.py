"""What a stack keeps in databases of Amazon's instead of on volumes, where its file says so."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components import traffic
from components.cache import Cache, CacheArgs
from components.database import Database, DatabaseArgs
from components.eks_cluster import EksCluster
from components.iam import Statement, allow
from components.mlflow_database import REGISTRY, SETUP, USER, Postgres
from components.network import Network, subnets
from components.pod_role import PodRole, PodRoleArgs
from infra import accounts
from infra.account import AwsFoundation
from infra.foundations import FeatureStore
from infra.foundations.aws_roles import roles_way
from infra.settings import Platform

_BACKUP_DAYS = 35
"""The longest that RDS can go back to any second."""


def database(
    name: str,
    platform: Platform,
    network: Network,
    cluster: EksCluster,
    keys: Mapping[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> Database | None:
    """MLflow's, where the stack file says `rds`."""
    if platform.mlflow.database != "rds":
        return None
    return Database(
        f"{name}-mlflow",
        DatabaseArgs(
            network=network.id,
            subnets=network.private_subnets,
            callers=cluster.security_group,
            name=REGISTRY,
            size=20,
            instance="db.t4g.small",
            key=keys["databases"],
            backup_days=_BACKUP_DAYS,
            keep=platform.data.keep,
        ),
        opts,
    )


def features(
    name: str,
    platform: Platform,
    settings: AwsFoundation,
    network: Network,
    cluster: EksCluster,
    keys: Mapping[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> FeatureStore | None:
    """The online store, where the stack file says `elasticache`."""
    if platform.features.store != "elasticache":
        return None
    cache = Cache(
        f"{name}-features",
        CacheArgs(
            network=network.id,
            subnets=network.private_subnets,
            callers=cluster.security_group,
            node="cache.t4g.small",
            key=keys["databases"],
            keep=platform.data.keep,
        ),
        opts,
    )
    return FeatureStore(connection=cache.connection, way=_inside(settings, cache.port))


def rights(settings: AwsFoundation, made: Database | None) -> dict[str, list[Statement]]:
    """By account of the store, what its role may do beside."""
    return {} if made is None else {accounts.MLFLOW: [_login(settings, made)]}


def _login(settings: AwsFoundation, made: Database) -> Statement:
    """To log in as one user of one database."""
    user = pulumi.Output.format(
        "arn:aws:rds-db:{0}:{1}:dbuser:{2}/{3}",
        settings.region,
        settings.account,
        made.resource_id,
        USER,
    )
    return allow(["rds-db:connect"], [user])


def postgres(
    settings: AwsFoundation,
    made: Database | None,
    cluster: EksCluster,
    namespace: pulumi.Output[str],
    keys: Mapping[str, pulumi.Output[str]],
    roles: Mapping[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> Postgres | None:
    """The database as MLflow's pods in `namespace` know it, once their roles may log in."""
    if made is None:
        return None
    through = f"secretsmanager.{settings.region}.amazonaws.com"
    setup = PodRole(
        SETUP,
        PodRoleArgs(
            account=settings.account,
            cluster=cluster.name,
            cluster_arn=cluster.arn,
            namespace=namespace,
            service_accounts=[SETUP],
            statements=[
                allow(["secretsmanager:GetSecretValue"], [made.master_secret]),
                allow(["kms:Decrypt"], [keys["databases"]], through=through),
                _login(settings, made),  # by which it sees that nothing is left to do
            ],
        ),
        opts,
    )
    ways = [_inside(settings, made.port), roles_way()]
    return Postgres(
        host=traffic.once(made.address, roles[accounts.MLFLOW]),
        region=settings.region,
        master=traffic.once(made.master_secret, setup.arn),
        ways=ways,
        setup_ways=[*ways, _inside(settings, 443)],  # the endpoint of Secrets Manager
    )


def _inside(
    settings: AwsFoundation, port: int
) -> k8s.networking.v1.NetworkPolicyEgressRuleArgsDict:
    """To one port of what has an address in the private subnets, as databases and endpoints do."""
    private, _ = subnets(settings.cidr, len(settings.zones))
    return {"to": [{"ip_block": {"cidr": each}} for each in private], "ports": [{"port": port}]}
