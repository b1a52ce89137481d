"""The roles of a stack's workloads in IAM: what a bucket's policy knows their accounts by."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.eks_cluster import EksCluster
from components.iam import Statement, allow
from components.pod_role import PodRole, PodRoleArgs
from infra import accounts
from infra.account import AwsFoundation
from infra.models import with_roads
from infra.settings import Platform

_JOBS = ("ingest", "train", "batch")
_GIVES_ROLES = "169.254.170.23/32"
"""The Pod Identity agent of every node."""


def pods(platform: Platform) -> dict[str, tuple[str, list[str]]]:
    """By account of the store, the role of its namespace and its pods' service accounts."""
    roads = list(with_roads(platform.models))
    found = {accounts.MLFLOW: ("platform", ["mlflow"])}
    if platform.backup is not None:
        found[accounts.BACKUP] = ("platform", ["mlflow-backup"])
    if roads:
        jobs = [f"{model}-{job}" for model in roads for job in _JOBS]
        found[accounts.JOBS] = ("jobs", jobs)
    for model in roads:
        found[accounts.server(model)] = ("models", [model])
        found[accounts.watch(model)] = ("jobs", [f"{model}-watch"])
    return found


def workload_roles(
    platform: Platform,
    settings: AwsFoundation,
    cluster: EksCluster,
    namespaces: Mapping[str, pulumi.Output[str]],
    data_key: pulumi.Output[str],
    rights: Mapping[str, Sequence[Statement]],
    opts: pulumi.ResourceOptions,
) -> dict[str, pulumi.Output[str]]:
    """ARNs by account; which objects each may have, the bucket's own policy says.

    `rights` are those beside the bucket, by account.
    """
    statement = allow(
        ["kms:Decrypt", "kms:GenerateDataKey"],
        [data_key],
        through=f"s3.{settings.region}.amazonaws.com",
    )
    return {
        account: PodRole(
            account,
            PodRoleArgs(
                account=settings.account,
                cluster=cluster.name,
                cluster_arn=cluster.arn,
                namespace=namespaces[role],
                service_accounts=names,
                statements=[statement, *rights.get(account, ())],
            ),
            opts,
        ).arn
        for account, (role, names) in pods(platform).items()
    }


def ways(settings: AwsFoundation) -> list[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]:
    """To S3, whose addresses are public ones that change, and to what gives pods their roles."""
    outside = [settings.cidr, "169.254.0.0/16"]
    return [
        {
            "to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": outside}}],
            "ports": [{"port": 443}],
        },
        roles_way(),
    ]


def roles_way() -> k8s.networking.v1.NetworkPolicyEgressRuleArgsDict:
    """To what gives pods their roles."""
    return {"to": [{"ip_block": {"cidr": _GIVES_ROLES}}], "ports": [{"port": 80}]}
