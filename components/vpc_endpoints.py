"""Ways to Amazon's services that do not leave the network."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

# What nodes, pods and their roles ask all the time; the rest goes by NAT.
_SERVICES = (
    *("ecr.api", "ecr.dkr", "sts", "logs"),
    *("eks", "eks-auth", "kms", "secretsmanager"),
)


@dataclass(frozen=True, kw_only=True)
class VpcEndpointsArgs:
    region: str
    network: pulumi.Input[str]
    cidr: str
    """Addresses that may use the endpoints."""
    subnets: Sequence[pulumi.Input[str]]
    route_tables: Sequence[pulumi.Input[str]]


class VpcEndpoints(pulumi.ComponentResource):
    """S3 by a route, which costs nothing; other services by an address in every zone."""

    def __init__(
        self, name: str, args: VpcEndpointsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:VpcEndpoints", name, {"services": list(_SERVICES)}, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-endpoints",
            vpc_id=args.network,
            description="Endpoints of AWS services, reached from inside the network alone",
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-endpoints",
            security_group_id=group.id,
            description="HTTPS from the network",
            cidr_ipv4=args.cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=child,
        )
        for service in _SERVICES:
            aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=args.network,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=list(args.subnets),
                security_group_ids=[group.id],
                private_dns_enabled=True,
                opts=child,
            )
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.network,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.route_tables),
            opts=child,
        )
        self.register_outputs({})
