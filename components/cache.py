"""A Valkey of ElastiCache's, for features: in two zones, by TLS and a password alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.inbound import inbound

_FAMILY = "valkey8"
_ENGINE = "8.0"
_PORT = 6379
# As in components/online_store.py: it works with keys, and administers nothing.
_RIGHTS = "on ~* &* +@all -@admin -@dangerous"


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    network: pulumi.Input[str]
    subnets: Sequence[pulumi.Input[str]]
    callers: pulumi.Input[str]
    """Security group of who may connect."""
    node: str
    """Like `cache.t4g.small`."""
    key: pulumi.Input[str]
    """ARN of the key of what it stores and of its snapshots."""
    keep: bool


class Cache(pulumi.ComponentResource):
    """A failing zone costs seconds; more than fits the memory is refused, and nothing evicted."""

    port = _PORT
    connection: pulumi.Output[str]
    """Secret: `host:port,password=…,ssl=true`, as Feast takes it."""

    def __init__(
        self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:Cache", name, {"node": args.node, "keep": args.keep}, opts)
        child = pulumi.ResourceOptions(parent=self)
        login = random.RandomPassword(f"{name}-login", length=40, special=False, opts=child)
        password = pulumi.Output.secret(login.result)
        group = aws.elasticache.ReplicationGroup(
            name,
            description="Features, as the servers of models look them up",
            engine="valkey",
            engine_version=_ENGINE,
            auto_minor_version_upgrade=True,
            node_type=args.node,
            num_cache_clusters=2,
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            port=_PORT,
            parameter_group_name=self._parameters(name),
            subnet_group_name=aws.elasticache.SubnetGroup(
                name, subnet_ids=list(args.subnets), opts=child
            ).name,
            security_group_ids=[
                inbound(
                    name,
                    network=args.network,
                    callers=args.callers,
                    port=_PORT,
                    what="The online store of features",
                    opts=child,
                )
            ],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=args.key,
            user_group_ids=[self._users(name, password)],
            # What is lost is filled again from the bucket, by the next materialisation.
            snapshot_retention_limit=1,
            final_snapshot_identifier=f"{name}-final" if args.keep else None,
            opts=pulumi.ResourceOptions(parent=self, protect=args.keep),
        )
        self.connection = pulumi.Output.format(
            "{0}:{1},password={2},ssl=true", group.primary_endpoint_address, _PORT, password
        )
        self.register_outputs({"connection": self.connection})

    def _parameters(self, name: str) -> pulumi.Output[str]:
        return aws.elasticache.ParameterGroup(
            name,
            family=_FAMILY,
            parameters=[{"name": "maxmemory-policy", "value": "noeviction"}],
            opts=pulumi.ResourceOptions(parent=self),
        ).name

    def _users(self, name: str, password: pulumi.Output[str]) -> pulumi.Output[str]:
        """The group of the one user that there is: `default`, whom clients name by no name."""
        child = pulumi.ResourceOptions(parent=self)
        user = aws.elasticache.User(
            name,
            user_id=name,
            user_name="default",
            engine="valkey",
            access_string=_RIGHTS,
            passwords=[password],
            opts=child,
        )
        return aws.elasticache.UserGroup(
            name, user_group_id=name, engine="valkey", user_ids=[user.user_id], opts=child
        ).user_group_id
