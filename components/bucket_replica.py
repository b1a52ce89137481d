"""Copies of a bucket's objects in a bucket elsewhere, which S3 makes by itself."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.iam import Statement, allow, document, trusting


@dataclass(frozen=True, kw_only=True)
class BucketReplicaArgs:
    account: str
    region: str
    bucket: pulumi.Input[str]
    """Name of what is copied; its versions are kept."""
    key: pulumi.Input[str]
    """ARN of the key that its objects are encrypted with."""
    copies: str
    """Name of the bucket that takes them: versioned, with object lock, of the same account."""
    copies_key: str
    """ARN of the key that they are encrypted with there."""


class BucketReplica(pulumi.ComponentResource):
    """Every version is copied, its lock included; what is deleted here stays there."""

    def __init__(
        self, name: str, args: BucketReplicaArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:BucketReplica", name, {"copies": args.copies}, opts)
        child = pulumi.ResourceOptions(parent=self)
        source = pulumi.Output.format("arn:aws:s3:::{0}", args.bucket)
        role = aws.iam.Role(
            f"{name}-replica",
            assume_role_policy=trusting(
                "s3.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": args.account},
                    "ArnEquals": {"aws:SourceArn": source},
                },
            ),
            opts=child,
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-replica", role=role.id, policy=document(*_rights(args, source)), opts=child
        )
        aws.s3.BucketReplicationConfig(
            name,
            bucket=args.bucket,
            role=role.arn,
            rules=[
                {
                    "id": "all",
                    "priority": 1,
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "delete_marker_replication": {"status": "Disabled"},
                    "source_selection_criteria": {
                        "sse_kms_encrypted_objects": {"status": "Enabled"}
                    },
                    "destination": {
                        "bucket": f"arn:aws:s3:::{args.copies}",
                        "encryption_configuration": {"replica_kms_key_id": args.copies_key},
                    },
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        self.register_outputs({})


def _rights(args: BucketReplicaArgs, source: pulumi.Output[str]) -> list[Statement]:
    """What S3 needs to copy, as its documentation lists it."""
    there = args.copies_key.split(":")[3]
    return [
        allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], [source]),
        allow(
            [
                *("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl"),
                *("s3:GetObjectVersionTagging", "s3:GetObjectRetention", "s3:GetObjectLegalHold"),
            ],
            [pulumi.Output.concat(source, "/*")],
        ),
        allow(["s3:ReplicateObject", "s3:ReplicateTags"], [f"arn:aws:s3:::{args.copies}/*"]),
        allow(["kms:Decrypt"], [args.key], through=f"s3.{args.region}.amazonaws.com"),
        allow(
            ["kms:Encrypt", "kms:GenerateDataKey"],
            [args.copies_key],
            through=f"s3.{there}.amazonaws.com",
        ),
    ]
