"""What networks keep to."""

from collections.abc import Iterator

from policy.rule import Resource, Stack, rule

_ANYWHERE = {"0.0.0.0/0", "::/0"}


@rule("25", "CIS EKS 5.4.3", "FSBP EC2.15", kinds=["Subnet"])
def nothing_gets_a_public_address(resource: Resource, _: Stack) -> Iterator[str]:
    """Nothing that is started in a subnet has a public address for that."""
    if resource.props.get("mapPublicIpOnLaunch") is not False:
        yield "mapPublicIpOnLaunch must be false"


@rule("31", "CKV_AWS_23", kinds=["SecurityGroup", "SecurityGroupIngressRule"])
def security_groups_say_what_for(resource: Resource, _: Stack) -> Iterator[str]:
    """A security group and whatever it lets in are described, and it has no rules of its own."""
    if not resource.props.get("description"):
        yield "description must be given"
    for key in ("ingress", "egress"):
        if resource.props.get(key):
            yield f"{key} must be resources of their own"


@rule(
    "31b",
    *("CKV_AWS_24", "CKV_AWS_260", "CKV_AWS_277", "FSBP EC2.18"),
    kinds=["SecurityGroupIngressRule", "SecurityGroupRule"],
)
def nobody_comes_in_from_anywhere(resource: Resource, _: Stack) -> Iterator[str]:
    """What a security group lets in comes from named addresses or groups, to named ports."""
    found = [resource.props.get("cidrIpv4"), resource.props.get("cidrIpv6")]
    for each in (*found, *(resource.props.get("cidrBlocks") or ())):
        if each in _ANYWHERE:
            yield f"it lets in {each}"
    if resource.props.get("ipProtocol") in ("-1", None) or resource.props.get("fromPort") is None:
        yield "ipProtocol, fromPort and toPort must be given"


@rule("31c", "CKV2_AWS_12", "FSBP EC2.2", kinds=["Vpc"], by_others=True)
def the_default_group_is_closed(resource: Resource, stack: Stack) -> Iterator[str]:
    """A network's default security group lets nothing through."""
    found = stack.beside(resource, "DefaultSecurityGroup")
    if not found:
        yield "no DefaultSecurityGroup beside it"
    if any(each.props.get("ingress") or each.props.get("egress") for each in found):
        yield "its DefaultSecurityGroup must have neither ingress nor egress"


@rule("31d", "CKV2_AWS_11", "FSBP EC2.6", kinds=["Vpc"], by_others=True)
def connections_are_logged(resource: Resource, stack: Stack) -> Iterator[str]:
    """A network logs who connected, and who was refused."""
    found = stack.beside(resource, "FlowLog")
    if not any(each.props.get("trafficType") == "ALL" for each in found):
        yield "no FlowLog with trafficType ALL beside it"


RULES = (
    nothing_gets_a_public_address,
    security_groups_say_what_for,
    nobody_comes_in_from_anywhere,
    the_default_group_is_closed,
    connections_are_logged,
)
