"""A Kubernetes of Amazon's that runs its own nodes: EKS in Auto Mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.iam import document, trusting

_LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
_POLICIES = "arn:aws:iam::aws:policy"
_ACCESS = "arn:aws:eks::aws:cluster-access-policy"
# What Auto Mode asks of the cluster's role, and of its nodes': AWS writes them, nobody else can.
_OF_CLUSTER = (
    *("AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy"),
    *("AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy"),
)
_OF_NODES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    version: str
    """Of Kubernetes: `1.34`."""
    region: str
    subnets: Sequence[pulumi.Input[str]]
    services: str
    """Addresses of its Services, none of the network's."""
    public_cidrs: Sequence[str]
    """Addresses that reach its API from outside the network; empty: none do."""
    secrets_key: pulumi.Input[str]
    """ARN of the key that Secrets are encrypted with before they are stored."""
    volumes_key: pulumi.Input[str]
    """ARN of the key of its nodes' and pods' volumes."""
    log_key: pulumi.Input[str]
    log_days: int
    access: Mapping[str, tuple[pulumi.Input[str], str]]
    """By a short name: ARN of a role, and what it may do (`ClusterAdmin`, `View`)."""
    groups: Mapping[str, pulumi.Input[str]]
    """By a group of Kubernetes', which has its rights there: ARN of the role that is in it."""
    keep: bool


class EksCluster(pulumi.ComponentResource):
    """Who made it may do nothing in it: access is what `access` says."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    """Without a secret: `aws eks get-token` logs in. Known when somebody has access."""
    security_group: pulumi.Output[str]
    """Of nodes and pods."""

    def __init__(
        self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:EksCluster", name, {"version": args.version}, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            name,
            name=f"/aws/eks/{name}/cluster",  # where EKS writes, encrypted or not
            kms_key_id=args.log_key,
            retention_in_days=args.log_days,
            opts=child,
        )
        nodes, _ = self._role(f"{name}-nodes", "ec2.amazonaws.com", _OF_NODES)
        role, held = self._role(name, "eks.amazonaws.com", _OF_CLUSTER, "sts:TagSession")
        keys = aws.iam.RolePolicy(
            name,
            role=role.id,
            policy=document(*_keys(args)),
            opts=child,
        )
        cluster = aws.eks.Cluster(
            name,
            name=name,
            version=args.version,
            role_arn=role.arn,
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            bootstrap_self_managed_addons=False,
            compute_config={
                "enabled": True,
                "node_pools": ["general-purpose", "system"],
                "node_role_arn": nodes.arn,
            },
            kubernetes_network_config={
                "elastic_load_balancing": {"enabled": True},
                "service_ipv4_cidr": args.services,
            },
            storage_config={"block_storage": {"enabled": True}},
            vpc_config={
                "subnet_ids": list(args.subnets),
                "endpoint_private_access": True,
                "endpoint_public_access": bool(args.public_cidrs),
                "public_access_cidrs": list(args.public_cidrs) or None,
            },
            encryption_config={
                "provider": {"key_arn": args.secrets_key},
                "resources": ["secrets"],
            },
            enabled_cluster_log_types=_LOGS,
            upgrade_policy={"support_type": "STANDARD"},
            deletion_protection=args.keep,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.keep,
                # Gone before the cluster, its roles leave load balancers and nodes behind.
                depends_on=[logs, keys, *held],
            ),
        )
        self.name, self.arn = cluster.name, cluster.arn
        self.security_group = cluster.vpc_config.cluster_security_group_id
        # What scales models; Auto Mode brings the rest, and no pod runs before there is one.
        aws.eks.Addon(
            f"{name}-metrics-server",
            cluster_name=cluster.name,
            addon_name="metrics-server",
            opts=child,
        )
        access = self._access(name, cluster, args)
        self.kubeconfig = pulumi.Output.json_dumps(_kubeconfig(cluster, access, args.region))
        self.register_outputs({"name": self.name, "kubeconfig": self.kubeconfig})

    def _role(
        self, name: str, service: str, policies: Sequence[str], *actions: str
    ) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """A role of the service's, and what makes it hold the policies."""
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(name, assume_role_policy=trusting(service, *actions), opts=child)
        held: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=f"{_POLICIES}/{policy}",
                opts=child,
            )
            for policy in policies
        ]
        return role, held

    def _access(
        self, name: str, cluster: aws.eks.Cluster, args: EksClusterArgs
    ) -> list[pulumi.Output[str]]:
        child = pulumi.ResourceOptions(parent=self)
        given = []
        for who, (principal, policy) in args.access.items():
            entry = aws.eks.AccessEntry(
                f"{name}-{who}", cluster_name=cluster.name, principal_arn=principal, opts=child
            )
            held = aws.eks.AccessPolicyAssociation(
                f"{name}-{who}",
                cluster_name=cluster.name,
                principal_arn=entry.principal_arn,
                policy_arn=f"{_ACCESS}/AmazonEKS{policy}Policy",
                access_scope={"type": "cluster"},
                opts=child,
            )
            given.append(held.id)
        for group, principal in args.groups.items():
            entry = aws.eks.AccessEntry(
                group,
                cluster_name=cluster.name,
                principal_arn=principal,
                kubernetes_groups=[group],
                opts=child,
            )
            given.append(entry.id)
        return given


def _keys(args: EksClusterArgs) -> list[dict[str, object]]:
    """What the cluster does with its keys; volumes get theirs by a grant."""
    return [
        {
            "Effect": "Allow",
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:ListGrants"],
            "Resource": [args.secrets_key],
        },
        {
            "Effect": "Allow",
            "Action": [
                *("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
                *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"),
            ],
            "Resource": [args.volumes_key],
        },
        {
            "Effect": "Allow",
            "Action": ["kms:CreateGrant"],
            "Resource": [args.secrets_key, args.volumes_key],
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    ]


def _kubeconfig(
    cluster: aws.eks.Cluster, access: Sequence[pulumi.Output[str]], region: str
) -> dict[str, object]:
    # Nobody can log in before the entries are there.
    name = pulumi.Output.all(cluster.name, *access).apply(lambda known: known[0])
    login = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": [*("eks", "get-token", "--region", region, "--cluster-name"), name],
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "eks",
                "cluster": {
                    "server": cluster.endpoint,
                    "certificate-authority-data": cluster.certificate_authority.data,
                },
            }
        ],
        "users": [{"name": "eks", "user": {"exec": login}}],
        "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "eks"}}],
        "current-context": "eks",
    }
