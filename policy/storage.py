"""What buckets keep to."""

from collections.abc import Iterator

from policy.rule import Resource, Stack, at, rule
from policy.statements import EVERYBODY, allowing, conditions, listed, name, principals, statements

_BUCKET = ["Bucket"]
_BLOCKS = (
    *("blockPublicAcls", "blockPublicPolicy"),
    *("ignorePublicAcls", "restrictPublicBuckets"),
)


def _same(stack: Stack, bucket: Resource, kind: str) -> list[Resource]:
    """What is the bucket's without being of its component: it has its name."""
    return [each for each in stack.of(kind) if each.name == bucket.name]


@rule("1", "FSBP S3.8", "CKV_AWS_53-56", "CKV2_AWS_6", kinds=_BUCKET, by_others=True)
def buckets_are_never_public(resource: Resource, stack: Stack) -> Iterator[str]:
    """A bucket blocks public policies and lists of access, in all four ways."""
    blocks = stack.beside(resource, "BucketPublicAccessBlock")
    if not blocks:
        yield "no BucketPublicAccessBlock beside it"
    for key in _BLOCKS:
        if any(each.props.get(key) is not True for each in blocks):
            yield f"{key} must be true"


@rule("2", "FSBP S3.2", "FSBP S3.3", "CKV_AWS_20", "CKV_AWS_57", kinds=["Bucket", "BucketAcl"])
def no_list_of_access_opens_a_bucket(resource: Resource, _: Stack) -> Iterator[str]:
    """A bucket has none of the ready-made lists of access, which are for everybody or for many."""
    if resource.props.get("acl") not in (None, "private", "log-delivery-write"):
        yield f"acl is {resource.props['acl']}"


@rule("3", "FSBP S3.5", "CKV_AWS_379", kinds=_BUCKET, by_others=True)
def buckets_take_tls_alone(resource: Resource, stack: Stack) -> Iterator[str]:
    """A bucket's policy refuses everybody who comes without TLS."""
    for policy in _same(stack, resource, "BucketPolicy"):
        for each in statements(policy):
            refused = each.get("Effect") == "Deny" and ("AWS", EVERYBODY) in principals(each)
            plain = conditions(each).get("aws:SecureTransport") == ["false"]
            if refused and plain and set(conditions(each)) == {"aws:SecureTransport"}:
                return
    yield "no BucketPolicy of its name that denies everybody with aws:SecureTransport false"


@rule("4", "FSBP S3.6", "CKV_AWS_70", kinds=["BucketPolicy"])
def bucket_policies_name_who_may(resource: Resource, _: Stack) -> Iterator[str]:
    """A bucket's policy allows nothing to everybody."""
    for each in allowing(resource):
        everybody = ("AWS", EVERYBODY) in principals(each)
        if everybody and not each.get("Condition"):
            yield f"statement {name(each)} allows {each.get('Action')} to everybody"
        if {"*", "s3:*"} & set(listed(each.get("Action"))):
            yield f"statement {name(each)} allows every action"


@rule("5", "FSBP S3.9", "CKV_AWS_18", kinds=_BUCKET, by_others=True)
def requests_to_buckets_are_logged(resource: Resource, stack: Stack) -> Iterator[str]:
    """Who read or wrote what of a bucket is written to another one."""
    found = _same(stack, resource, "BucketLogging")
    if not any(each.props.get("targetBucket") for each in found):
        yield "no BucketLogging of its name with a targetBucket"
    if any(each.props.get("targetBucket") == each.props.get("bucket") for each in found):
        yield "its requests are logged into itself"


@rule("6", "FSBP S3.12", "CKV2_AWS_65", kinds=_BUCKET, by_others=True)
def objects_are_the_buckets_owners(resource: Resource, stack: Stack) -> Iterator[str]:
    """Whoever wrote an object, it is the bucket's owner's: lists of access are off."""
    found = _same(stack, resource, "BucketOwnershipControls")
    if not any(at(each.props, "rule.objectOwnership") == "BucketOwnerEnforced" for each in found):
        yield "no BucketOwnershipControls of its name with BucketOwnerEnforced"


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


@rule("7b", "CKV_AWS_144", kinds=["BucketReplicationConfig"])
def copies_are_whole_and_stay(resource: Resource, _: Stack) -> Iterator[str]:
    """What copies a bucket copies all of it, encrypted, and no deletion."""
    for each in resource.props.get("rules") or ():
        if each.get("status") != "Enabled" or at(each, "filter.prefix") != "":
            yield "each rule must be Enabled, for the prefix ''"
        if at(each, "deleteMarkerReplication.status") != "Disabled":
            yield "deleteMarkerReplication must be Disabled"
        if at(each, "sourceSelectionCriteria.sseKmsEncryptedObjects.status") != "Enabled":
            yield "sseKmsEncryptedObjects must be Enabled: objects with a key are left out else"
        if not at(each, "destination.encryptionConfiguration.replicaKmsKeyId"):
            yield "replicaKmsKeyId must be given"


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
    no_list_of_access_opens_a_bucket,
    buckets_take_tls_alone,
    bucket_policies_name_who_may,
    requests_to_buckets_are_logged,
    objects_are_the_buckets_owners,
    old_versions_go_in_time,
    copies_are_whole_and_stay,
    every_write_is_a_version,
    buckets_are_encrypted,
    buckets_can_be_locked,
    what_is_kept_is_kept,
)
