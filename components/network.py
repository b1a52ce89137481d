"""A network over several zones: pods in private subnets, a way out for each, nothing coming in."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

import pulumi
import pulumi_aws as aws

from components.iam import document, trusting
from components.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    region: str
    account: str
    zones: Sequence[str]
    """Names of zones: `eu-west-1a`."""
    cidr: str
    """All addresses of the network, at least a /20."""
    log_key: pulumi.Input[str]
    """ARN of the key that its flow logs are encrypted with."""
    log_days: int


class Network(pulumi.ComponentResource):
    """One failing zone takes its own pods' way out with it, and no other's."""

    id: pulumi.Output[str]
    private_subnets: list[pulumi.Output[str]]
    """Ids, each known when its way out is there."""

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        recorded = {"cidr": args.cidr, "zones": list(args.zones)}
        super().__init__("ferry:aws:Network", name, recorded, opts)
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=args.cidr,
            enable_dns_hostnames=True,  # by which endpoints are found
            enable_dns_support=True,
            tags={"Name": name},
            opts=child,
        )
        self.id = vpc.id
        # Without rules: what names no group of its own reaches nothing.
        aws.ec2.DefaultSecurityGroup(name, vpc_id=vpc.id, ingress=[], egress=[], opts=child)
        self._flow_logs(name, args)

        outside = aws.ec2.InternetGateway(name, vpc_id=vpc.id, opts=child)
        public_routes = aws.ec2.RouteTable(
            f"{name}-public",
            vpc_id=vpc.id,
            routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": outside.id}],
            opts=child,
        )
        self.private_subnets, tables = [], []
        private, public = subnets(args.cidr, len(args.zones))
        for zone, inner, outer in zip(args.zones, private, public, strict=True):
            subnet, table = self._zone(name, zone, inner, outer, public_routes)
            self.private_subnets.append(subnet)
            tables.append(table)
        VpcEndpoints(
            name,
            VpcEndpointsArgs(
                region=args.region,
                network=vpc.id,
                cidr=args.cidr,
                subnets=self.private_subnets,
                route_tables=tables,
            ),
            child,
        )
        self.register_outputs({"id": self.id, "privateSubnets": self.private_subnets})

    def _zone(
        self, name: str, zone: str, inner: str, outer: str, public_routes: aws.ec2.RouteTable
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The private subnet of a zone and its route table, with what they need."""
        child = pulumi.ResourceOptions(parent=self)
        public = aws.ec2.Subnet(
            f"{name}-public-{zone}",
            vpc_id=self.id,
            availability_zone=zone,
            cidr_block=outer,
            map_public_ip_on_launch=False,
            tags={
                "Name": f"{name}-public-{zone}",
                # Load balancers are here, apart from pods: so a policy can tell them by address.
                "kubernetes.io/role/elb": "1",
                "kubernetes.io/role/internal-elb": "1",
            },
            opts=child,
        )
        routed = aws.ec2.RouteTableAssociation(
            f"{name}-public-{zone}",
            subnet_id=public.id,
            route_table_id=public_routes.id,
            opts=child,
        )
        address = aws.ec2.Eip(f"{name}-{zone}", domain="vpc", opts=child)
        way_out = aws.ec2.NatGateway(
            f"{name}-{zone}",
            subnet_id=public.id,
            allocation_id=address.allocation_id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[routed]),
        )
        table = aws.ec2.RouteTable(
            f"{name}-private-{zone}",
            vpc_id=self.id,
            routes=[{"cidr_block": "0.0.0.0/0", "nat_gateway_id": way_out.id}],
            opts=child,
        )
        private = aws.ec2.Subnet(
            f"{name}-private-{zone}",
            vpc_id=self.id,
            availability_zone=zone,
            cidr_block=inner,
            map_public_ip_on_launch=False,
            tags={"Name": f"{name}-private-{zone}"},
            opts=child,
        )
        way = aws.ec2.RouteTableAssociation(
            f"{name}-private-{zone}", subnet_id=private.id, route_table_id=table.id, opts=child
        )
        # Nodes in a subnet without a way out never join the cluster.
        subnet = pulumi.Output.all(private.id, way.id).apply(lambda known: known[0])
        return subnet, table.id

    def _flow_logs(self, name: str, args: NetworkArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(
            f"{name}-flows",
            kms_key_id=args.log_key,
            retention_in_days=args.log_days,
            opts=child,
        )
        role = aws.iam.Role(
            f"{name}-flows",
            assume_role_policy=trusting(
                "vpc-flow-logs.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": args.account}},
            ),
            opts=child,
        )
        aws.iam.RolePolicy(
            f"{name}-flows",
            role=role.id,
            policy=document(
                {
                    "Effect": "Allow",
                    "Action": [
                        *("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams")
                    ],
                    "Resource": [group.arn, pulumi.Output.format("{0}:*", group.arn)],
                }
            ),
            opts=child,
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=self.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=60,
            opts=child,
        )


def subnets(cidr: str, zones: int) -> tuple[list[str], list[str]]:
    """Addresses for each zone, of its private subnet and of its public one.

    Private ones have an eighth of the network each, since every pod has an address; public ones
    share the last eighth. Raises ValueError for more than 7 zones or less than a /20.
    """
    whole = ip_network(cidr)
    if not 1 <= zones <= 7 or whole.prefixlen > 20:
        raise ValueError(f"need at most 7 zones and at least a /20, got {zones} in {cidr}")
    *private, last = whole.subnets(prefixlen_diff=3)
    public = last.subnets(prefixlen_diff=5)
    return (
        [str(each) for each in private[:zones]],
        [str(each) for _, each in zip(range(zones), public, strict=False)],
    )
