"""A versioned, locked bucket that outlives mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    keep: bool
    """True: refuse deletion, and leave the objects behind even so."""
    lock_days: int
    """How long no version can be deleted, from when it was written."""
    passing: Sequence[str] = ()
    """Prefixes under which old versions may go in time: nothing pins them."""
    key: pulumi.Input[str] | None = None
    """ARN of the key that objects are encrypted with; None: the store's own."""
    lacks: frozenset[str] = frozenset()
    """Of encryption, publicAccessBlock, lifecycle, defaultRetention: what the store has not."""


class Bucket(pulumi.ComponentResource):
    """Every write is a version; versions stay for the time of the lock."""

    name: pulumi.Output[str]

    def __init__(
        self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        recorded = {"keep": args.keep, "lockDays": args.lock_days, "lacks": sorted(args.lacks)}
        super().__init__("ferry:storage:Bucket", name, recorded, opts)
        bucket = aws.s3.Bucket(
            name,
            force_destroy=not args.keep,
            object_lock_enabled=True,
            opts=pulumi.ResourceOptions(parent=self, protect=args.keep, retain_on_delete=args.keep),
        )
        part = pulumi.ResourceOptions(parent=self, deleted_with=bucket)
        versioning = aws.s3.BucketVersioning(
            name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=part
        )
        if "defaultRetention" not in args.lacks:
            aws.s3.BucketObjectLockConfiguration(
                name,
                bucket=bucket.id,
                rule={"default_retention": {"mode": "GOVERNANCE", "days": args.lock_days}},
                opts=part,
            )
        if "encryption" not in args.lacks:
            aws.s3.BucketServerSideEncryptionConfiguration(
                name,
                bucket=bucket.id,
                rules=[
                    {
                        "apply_server_side_encryption_by_default": {
                            "sse_algorithm": "aws:kms",
                            "kms_master_key_id": args.key,
                        },
                        "bucket_key_enabled": True,
                    }
                ],
                opts=part,
            )
        if "publicAccessBlock" not in args.lacks:
            aws.s3.BucketPublicAccessBlock(
                name,
                bucket=bucket.id,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
                opts=part,
            )
        if "lifecycle" not in args.lacks:
            aws.s3.BucketLifecycleConfiguration(
                name,
                bucket=bucket.id,
                rules=_lifecycle(args),
                opts=part,
            )
        # Whoever is told the name may rely on every write being kept.
        self.name = pulumi.Output.all(bucket.bucket, versioning.id).apply(lambda known: known[0])
        self.register_outputs({"name": self.name})


def _lifecycle(args: BucketArgs) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    return [
        {
            "id": "unfinished-uploads",
            "status": "Enabled",
            "filter": {},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        },
        *(
            aws.s3.BucketLifecycleConfigurationRuleArgsDict(
                id=f"old-versions-{prefix.strip('/')}",
                status="Enabled",
                filter={"prefix": prefix},
                # Never before the lock ends: S3 would try in vain.
                noncurrent_version_expiration={"noncurrent_days": max(30, args.lock_days)},
            )
            for prefix in args.passing
        ),
    ]
