"""A PostgreSQL of RDS' that survives a zone, a mistake and a leaked password."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.inbound import inbound

_FAMILY = "postgres17"
_ENGINE = "17.6"
_PORT = 5432


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    network: pulumi.Input[str]
    subnets: Sequence[pulumi.Input[str]]
    callers: pulumi.Input[str]
    """Security group of who may connect."""
    name: str
    """Of the database in it."""
    size: int
    """GiB to begin with; it grows to four times as much by itself."""
    instance: str
    """Like `db.t4g.medium`."""
    key: pulumi.Input[str]
    """ARN of the key of its storage, its backups and its master password."""
    backup_days: int
    keep: bool


class Database(pulumi.ComponentResource):
    """Two zones, TLS alone, logins by IAM; RDS makes, turns and keeps the master's password."""

    address: pulumi.Output[str]
    port = _PORT
    resource_id: pulumi.Output[str]
    """What a right to connect (`rds-db:connect`) names."""
    master_secret: pulumi.Output[str]
    """ARN of the secret in Secrets Manager; its value is read by nothing here."""

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        recorded = {"instance": args.instance, "keep": args.keep}
        super().__init__("ferry:aws:Database", name, recorded, opts)
        child = pulumi.ResourceOptions(parent=self)
        placed = aws.rds.SubnetGroup(name, subnet_ids=list(args.subnets), opts=child)
        parameters = aws.rds.ParameterGroup(
            name,
            family=_FAMILY,
            parameters=[
                {"name": "rds.force_ssl", "value": "1", "apply_method": "pending-reboot"},
                {"name": "log_connections", "value": "1"},
                {"name": "log_disconnections", "value": "1"},
            ],
            opts=child,
        )
        instance = aws.rds.Instance(
            name,
            engine="postgres",
            engine_version=_ENGINE,
            auto_minor_version_upgrade=True,
            instance_class=args.instance,
            allocated_storage=args.size,
            max_allocated_storage=4 * args.size,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key,
            db_name=args.name,
            username="master",
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key,
            iam_database_authentication_enabled=True,
            multi_az=True,
            publicly_accessible=False,
            db_subnet_group_name=placed.name,
            vpc_security_group_ids=[
                inbound(
                    name,
                    network=args.network,
                    callers=args.callers,
                    port=_PORT,
                    what="The database",
                    opts=child,
                )
            ],
            parameter_group_name=parameters.name,
            backup_retention_period=args.backup_days,
            copy_tags_to_snapshot=True,
            delete_automated_backups=not args.keep,
            deletion_protection=args.keep,
            skip_final_snapshot=not args.keep,
            final_snapshot_identifier=f"{name}-final" if args.keep else None,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.keep,
                ignore_changes=["engineVersion"],  # which RDS moves on by itself
            ),
        )
        self.address, self.resource_id = instance.address, instance.resource_id
        self.master_secret = instance.master_user_secrets[0]["secret_arn"]
        self.register_outputs({"address": self.address, "resourceId": self.resource_id})
