"""A role of IAM's that the pods of one workload have, and no others: EKS Pod Identity."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.iam import Statement, document, trusting


@dataclass(frozen=True, kw_only=True)
class PodRoleArgs:
    account: str
    cluster: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    namespace: pulumi.Input[str]
    service_accounts: Sequence[str]
    """Names; the accounts themselves may come later."""
    statements: Sequence[Statement]
    """What the pods may do, resource by resource."""

    def __post_init__(self) -> None:
        for each in self.statements:
            resources = each.get("Resource", ())
            if "*" in ([resources] if isinstance(resources, str) else list(resources)):
                raise ValueError("need resources that are named, got '*'")


class PodRole(pulumi.ComponentResource):
    """Pods get it when they start: whatever makes them waits for `arn`."""

    arn: pulumi.Output[str]
    """Known when pods can have it."""

    def __init__(
        self, name: str, args: PodRoleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        recorded = {"serviceAccounts": list(args.service_accounts)}
        super().__init__("ferry:aws:PodRole", name, recorded, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            assume_role_policy=trusting(
                "pods.eks.amazonaws.com",
                "sts:TagSession",
                conditions={
                    "StringEquals": {
                        "aws:SourceAccount": args.account,
                        "aws:RequestTag/kubernetes-namespace": args.namespace,
                        "aws:RequestTag/kubernetes-service-account": list(args.service_accounts),
                    },
                    "ArnEquals": {"aws:SourceArn": args.cluster_arn},
                },
            ),
            opts=child,
        )
        allowed = aws.iam.RolePolicy(
            name, role=role.id, policy=document(*args.statements), opts=child
        )
        given = [
            aws.eks.PodIdentityAssociation(
                f"{name}-{account}",
                cluster_name=args.cluster,
                namespace=args.namespace,
                service_account=account,
                role_arn=role.arn,
                opts=child,
            )
            for account in args.service_accounts
        ]
        waited = [allowed.id, *(each.id for each in given)]
        self.arn = pulumi.Output.all(role.arn, *waited).apply(lambda known: known[0])
        self.register_outputs({"arn": self.arn})
