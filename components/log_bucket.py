"""The bucket that the requests to other buckets are written to."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.bucket_guard import owned, tls_alone


@dataclass(frozen=True, kw_only=True)
class LogBucketArgs:
    account: str
    days: int
    """How long a log is kept."""
    keep: bool


class LogBucket(pulumi.ComponentResource):
    """Written by S3 alone, which takes neither a key of KMS' nor a default lock there."""

    name: pulumi.Output[str]
    """Known when S3 may write to it."""

    def __init__(
        self, name: str, args: LogBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:LogBucket", name, {"days": args.days}, opts)
        bucket = aws.s3.Bucket(
            name,
            force_destroy=not args.keep,
            opts=pulumi.ResourceOptions(parent=self, protect=args.keep, retain_on_delete=args.keep),
        )
        part = pulumi.ResourceOptions(parent=self, deleted_with=bucket)
        aws.s3.BucketVersioning(
            name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=part
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=part,
        )
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=part,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "id": "old-logs",
                    "status": "Enabled",
                    "filter": {},
                    "expiration": {"days": args.days},
                    "noncurrent_version_expiration": {"noncurrent_days": 30},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=part,
        )
        owned(name, bucket=bucket.id, opts=part)
        policy = aws.s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=bucket.bucket.apply(lambda known: _policy(known, args.account)),
            opts=part,
        )
        self.name = pulumi.Output.all(bucket.bucket, policy.id).apply(lambda known: known[0])
        self.register_outputs({"name": self.name})


def _policy(bucket: str, account: str) -> str:
    written = {
        "Sid": "LogsOfTheAccountsBuckets",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [written, tls_alone(bucket)]})
