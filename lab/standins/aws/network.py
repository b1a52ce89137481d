"""What EC2 makes: a network, its ways in and out, and who may use them."""

from collections.abc import Mapping
from typing import Any, Final

from lab.standins.aws.row import Call, Row
from lab.standins.aws.shaping import Values

_ANYWHERE: Final = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


def _permission(values: Values) -> list[dict[str, Any]]:
    said = {"Description": values["description"]} if "description" in values else {}
    group, cidr = values.get("referencedSecurityGroupId"), values.get("cidrIpv4")
    return [
        {
            "IpProtocol": values["ipProtocol"],
            "FromPort": values["fromPort"],
            "ToPort": values["toPort"],
            **({"IpRanges": [{"CidrIp": cidr, **said}]} if cidr else {}),
            **({"UserIdGroupPairs": [{"GroupId": group, **said}]} if group else {}),
        }
    ]


def _row(what: str, plural: str, key: str, *, there: str = "", **more: Any) -> Row:  # noqa: ANN401
    """A type that EC2 makes, lists and deletes as it does most: `what` in words of its own."""
    snake = what.replace("-", "_")
    noun = "".join(word.capitalize() for word in what.split("-"))
    return Row(
        service="ec2",
        make=more.pop("make", Call(f"create_{snake}", {})),
        identity=more.pop("identity", f"={noun}.{key}"),
        look=Call(f"describe_{snake}s", {f"{key}s": ["{id}"]}),
        there=there or f"{plural}[0]",
        tags=more.pop("tags", what),
        end=more.pop("end", (Call(f"delete_{snake}", {key: "{id}"}),)),
        **more,
    )


_ATTACHED: Final = {"InternetGatewayId": "{id}", "VpcId": "{vpcId}"}

ROWS: Final[Mapping[str, Row]] = {
    "aws:ec2/vpc:Vpc": _row(
        "vpc",
        "Vpcs",
        "VpcId",
        plain=frozenset({"cidrBlock"}),
        other=frozenset({"enableDnsHostnames", "enableDnsSupport"}),
        then=tuple(
            Call(
                "modify_vpc_attribute",
                {"VpcId": "{id}", name: {"Value": f"{{{key}}}"}},
                of=frozenset({key}),
            )
            for key, name in (
                ("enableDnsSupport", "EnableDnsSupport"),
                ("enableDnsHostnames", "EnableDnsHostnames"),
            )
        ),
    ),
    "aws:ec2/subnet:Subnet": _row(
        "subnet",
        "Subnets",
        "SubnetId",
        plain=frozenset({"vpcId", "availabilityZone", "cidrBlock"}),
        other=frozenset({"mapPublicIpOnLaunch"}),
        then=(
            Call(
                "modify_subnet_attribute",
                {"SubnetId": "{id}", "MapPublicIpOnLaunch": {"Value": "{mapPublicIpOnLaunch}"}},
                of=frozenset({"mapPublicIpOnLaunch"}),
            ),
        ),
    ),
    "aws:ec2/internetGateway:InternetGateway": _row(
        "internet-gateway",
        "InternetGateways",
        "InternetGatewayId",
        other=frozenset({"vpcId"}),
        then=(Call("attach_internet_gateway", _ATTACHED),),
        end=(
            Call("detach_internet_gateway", _ATTACHED),
            Call("delete_internet_gateway", {"InternetGatewayId": "{id}"}),
        ),
    ),
    "aws:ec2/routeTable:RouteTable": _row(
        "route-table",
        "RouteTables",
        "RouteTableId",
        plain=frozenset({"vpcId"}),
        other=frozenset({"routes"}),
        then=(
            Call(
                "create_route",
                {
                    "RouteTableId": "{id}",
                    "DestinationCidrBlock": "{cidrBlock}",
                    "GatewayId": "{gatewayId}",
                    "NatGatewayId": "{natGatewayId}",
                },
                of=frozenset({"routes"}),
                each="routes",
            ),
        ),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Row(
        service="ec2",
        make=Call("associate_route_table", {}),
        plain=frozenset({"subnetId", "routeTableId"}),
        identity="=AssociationId",
        look=Call("describe_route_tables", {"RouteTableIds": ["{routeTableId}"]}),
        there="RouteTables[0].Associations[?RouteTableAssociationId=='{id}'] | [0]",
        end=(Call("disassociate_route_table", {"AssociationId": "{id}"}),),
    ),
    "aws:ec2/eip:Eip": Row(
        service="ec2",
        make=Call("allocate_address", {}),
        plain=frozenset({"domain"}),
        identity="=AllocationId",
        look=Call("describe_addresses", {"AllocationIds": ["{id}"]}),
        there="Addresses[0]",
        outputs={"allocationId": "{id}", "publicIp": "=PublicIp"},
        end=(Call("release_address", {"AllocationId": "{id}"}),),
        tags="elastic-ip",
    ),
    "aws:ec2/natGateway:NatGateway": _row(
        "nat-gateway",
        "NatGateways",
        "NatGatewayId",
        plain=frozenset({"subnetId", "allocationId"}),
        there="NatGateways[?State!='deleted'] | [0]",
        tags="natgateway",
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _row(
        "vpc-endpoint",
        "VpcEndpoints",
        "VpcEndpointId",
        plain=frozenset(
            {
                *("vpcId", "serviceName", "vpcEndpointType", "subnetIds", "securityGroupIds"),
                *("privateDnsEnabled", "routeTableIds"),
            }
        ),
        end=(Call("delete_vpc_endpoints", {"VpcEndpointIds": ["{id}"]}),),
    ),
    "aws:ec2/flowLog:FlowLog": Row(
        service="ec2",
        make=Call(
            "create_flow_logs",
            {
                "ResourceIds": ["{vpcId}"],
                "ResourceType": "VPC",
                "DeliverLogsPermissionArn": "{iamRoleArn}",
            },
        ),
        plain=frozenset(
            {"trafficType", "logDestinationType", "logDestination", "maxAggregationInterval"}
        ),
        other=frozenset({"vpcId", "iamRoleArn"}),
        identity="=FlowLogIds[0]",
        look=Call("describe_flow_logs", {"FlowLogIds": ["{id}"]}),
        there="FlowLogs[0]",
        end=(Call("delete_flow_logs", {"FlowLogIds": ["{id}"]}),),
        tags="vpc-flow-log",
    ),
    "aws:ec2/securityGroup:SecurityGroup": _row(
        "security-group",
        "SecurityGroups",
        "GroupId",
        make=Call("create_security_group", {"GroupName": "{name}"}),
        plain=frozenset({"description", "vpcId"}),
        other=frozenset({"name"}),
        identity="=GroupId",
        # As officially: what is not asked for, may not leave.
        then=(
            Call("revoke_security_group_egress", {"GroupId": "{id}", "IpPermissions": _ANYWHERE}),
        ),
        named="name",
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Row(
        service="ec2",
        # It is there already, and stays until its network goes; only without rules is it covered.
        make=Call(
            "describe_security_groups",
            {
                "Filters": [
                    {"Name": "vpc-id", "Values": ["{vpcId}"]},
                    {"Name": "group-name", "Values": ["default"]},
                ]
            },
        ),
        other=frozenset({"vpcId", "ingress", "egress"}),
        identity="=SecurityGroups[0].GroupId",
        then=(
            Call("revoke_security_group_egress", {"GroupId": "{id}", "IpPermissions": _ANYWHERE}),
        ),
        look=Call("describe_security_groups", {"GroupIds": ["{id}"]}),
        there="SecurityGroups[0]",
        tags="security-group",
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Row(
        service="ec2",
        make=Call(
            "authorize_security_group_ingress",
            {"GroupId": "{securityGroupId}", "IpPermissions": _permission},
        ),
        other=frozenset(
            {
                *("securityGroupId", "description", "ipProtocol", "fromPort", "toPort"),
                *("cidrIpv4", "referencedSecurityGroupId"),
            }
        ),
        identity="=SecurityGroupRules[0].SecurityGroupRuleId",
        look=Call("describe_security_group_rules", {"SecurityGroupRuleIds": ["{id}"]}),
        there="SecurityGroupRules[0]",
        end=(
            Call(
                "revoke_security_group_ingress",
                {"GroupId": "{securityGroupId}", "SecurityGroupRuleIds": ["{id}"]},
            ),
        ),
        tags="security-group-rule",
    ),
}
