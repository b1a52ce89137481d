"""What S3 itself adds to a bucket: its owner's objects alone, and a log of requests elsewhere."""

import pulumi
import pulumi_aws as aws

from components.iam import Statement


def guard(
    name: str,
    *,
    bucket: pulumi.Input[str],
    log_bucket: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Guard the bucket whose component is called `name`; requests go to `log_bucket`."""
    owned(name, bucket=bucket, opts=opts)
    aws.s3.BucketLogging(
        name,
        bucket=bucket,
        target_bucket=log_bucket,
        target_prefix=pulumi.Output.format("{0}/", bucket),
        opts=opts,
    )


def owned(name: str, *, bucket: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
    """Whoever wrote an object, it is the bucket's owner's."""
    aws.s3.BucketOwnershipControls(
        name, bucket=bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=opts
    )


def tls_alone(bucket: str) -> Statement:
    """The statement that refuses whoever comes to the bucket without TLS."""
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Sid": "TlsAlone",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
