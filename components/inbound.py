"""The security group of what is reached at one port, and calls nobody itself."""

import pulumi
import pulumi_aws as aws


def inbound(
    name: str,
    *,
    network: pulumi.Input[str],
    callers: pulumi.Input[str],
    port: int,
    what: str,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Its id; `callers` is the security group of the cluster's nodes and pods."""
    group = aws.ec2.SecurityGroup(
        name,
        vpc_id=network,
        description=f"{what}: connections from the cluster, and none of its own",
        opts=opts,
    )
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group.id,
        description="From the nodes and pods of the cluster",
        referenced_security_group_id=callers,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        opts=opts,
    )
    return group.id
