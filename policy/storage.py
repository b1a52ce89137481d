"""What buckets keep to."""

import json
from collections.abc import Iterator

from policy.rule import Resource, Stack, at, rule

_BUCKET = ["Bucket"]
_BLOCKS = (
    *("blockPublicAcls", "blockPublicPolicy"),
    *("ignorePublicAcls", "restrictPublicBuckets"),
)


@rule("1", "FSBP S3.8", "CKV_AWS_53-56", "CKV2_AWS_6", kinds=_BUCKET, by_others=True)
def buckets_are_never_public(resource: Resource, stack: Stack) -> Iterator[str]:
    """A bucket blocks public policies and lists of access, in all four ways."""
    blocks = stack.beside(resource, "BucketPublicAccessBlock")
    if not blocks:
        yield "no BucketPublicAccessBlock beside it"
    for key in _BLOCKS:
        if any(each.props.get(key) is not True for each in blocks):
            yield f"{key} must be true"


@rule("4", "FSBP S3.6", "CKV_AWS_70", kinds=["BucketPolicy"])
def bucket_policies_name_who_may(resource: Resource, _: Stack) -> Iterator[str]:
    """A bucket's policy allows nothing to everybody."""
    given = resource.props.get("policy")
    if not isinstance(given, str):
        return  # not known before the update
    for each in json.loads(given).get("Statement", ()):
        everybody = each.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        if each.get("Effect") == "Allow" and everybody and not each.get("Condition"):
            yield f"statement {each.get('Sid', '?')} allows {each.get('Action')} to everybody"
        actions = [each.get("Action")] if isinstance(each.get("Action"), str) else each["Action"]
        if each.get("Effect") == "Allow" and {"*", "s3:*"} & set(actions):
            yield f"statement {each.get('Sid', '?')} allows every action"


@rule("7", "FSBP S3.13", "CKV2_AWS_61", "CKV_AWS_300", kinds=_BUCKET, by_others=True)
def old_versions_go_in_time(resource: Resource, stack: Stack) -> Iterator[str]:
    """A bucket ends unfinished uploads, and the old versions of what passes."""
    rules = [
        each
        for lifecycle in stack.beside(resource, "BucketLifecycleConfiguration")
        for each in lifecycle.props.get("rules") or ()
        if each.get("status") == "Enabled"
    ]
    for key in ("abortIncompleteMultipartUpload", "noncurrentVersionExpiration"):
        if not any(each.get(key) for each in rules):
            yield f"no lifecycle rule with {key} beside it"


@rule("8", "CKV_AWS_21", "Config S3_BUCKET_VERSIONING_ENABLED", kinds=_BUCKET, by_others=True)
def every_write_is_a_version(resource: Resource, stack: Stack) -> Iterator[str]:
    """A bucket keeps versions."""
    found = stack.beside(resource, "BucketVersioning")
    if not any(at(each.props, "versioningConfiguration.status") == "Enabled" for each in found):
        yield "no BucketVersioning with status Enabled beside it"


@rule("9", "CKV_AWS_19", "CKV_AWS_145", kinds=_BUCKET, by_others=True)
def buckets_are_encrypted(resource: Resource, stack: Stack) -> Iterator[str]:
    """A bucket encrypts what is written with a key of KMS."""
    rules = [
        each
        for found in stack.beside(resource, "BucketServerSideEncryptionConfiguration")
        for each in found.props.get("rules") or ()
    ]
    if not rules or any(
        at(each, "applyServerSideEncryptionByDefault.sseAlgorithm") != "aws:kms" for each in rules
    ):
        yield "no default encryption with aws:kms beside it"


@rule("10", "CKV_AWS_143", "CT.S3.PR.9", kinds=_BUCKET)
def buckets_can_be_locked(resource: Resource, _: Stack) -> Iterator[str]:
    """A bucket is made with object lock, which cannot be had later."""
    if resource.props.get("objectLockEnabled") is not True:
        yield "objectLockEnabled must be true"


@rule("11", "Pulumi protect", "CKV_AWS_93", kinds=_BUCKET)
def what_is_kept_is_kept(resource: Resource, _: Stack) -> Iterator[str]:
    """A bucket that is protected is not emptied to be deleted, and the other way round."""
    if bool(resource.props.get("forceDestroy")) == resource.protect:
        yield f"forceDestroy is {resource.props.get('forceDestroy')}, protect {resource.protect}"


RULES = (
    buckets_are_never_public,
    bucket_policies_name_who_may,
    old_versions_go_in_time,
    every_write_is_a_version,
    buckets_are_encrypted,
    buckets_can_be_locked,
    what_is_kept_is_kept,
)
