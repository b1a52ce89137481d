"""What caches of ElastiCache's keep to."""

from collections.abc import Iterator

from policy.rule import Resource, Stack, rule

_GROUP = ["ReplicationGroup"]
_WITHOUT = ("-@admin", "-@dangerous")


@rule("11c", "FSBP ElastiCache.1", "FSBP ElastiCache.2", "FSBP ElastiCache.3", kinds=_GROUP)
def caches_survive_a_zone(resource: Resource, _: Stack) -> Iterator[str]:
    """A cache is in two zones, takes over by itself, has a snapshot and its security updates."""
    props = resource.props
    for key in ("multiAzEnabled", "automaticFailoverEnabled", "autoMinorVersionUpgrade"):
        if props.get(key) is not True:
            yield f"{key} must be true"
    if (props.get("numCacheClusters") or 0) < 2:
        yield "numCacheClusters must be 2 at least"
    if (props.get("snapshotRetentionLimit") or 0) < 1:
        yield "snapshotRetentionLimit must be 1 at least"


@rule("21c", "FSBP ElastiCache.7", kinds=_GROUP)
def caches_are_inside(resource: Resource, _: Stack) -> Iterator[str]:
    """A cache has a subnet group and a security group of its own."""
    for key in ("subnetGroupName", "securityGroupIds"):
        if not resource.props.get(key):
            yield f"{key} must be given"


@rule("23c", "FSBP ElastiCache.4", "CKV_AWS_191", kinds=_GROUP)
def caches_are_encrypted(resource: Resource, _: Stack) -> Iterator[str]:
    """A cache is encrypted with a key of the account's own."""
    props = resource.props
    if props.get("atRestEncryptionEnabled") is not True or not props.get("kmsKeyId"):
        yield "atRestEncryptionEnabled must be true, with a kmsKeyId"


@rule("28c", "FSBP ElastiCache.6", "CKV_AWS_31", kinds=[*_GROUP, "User"])
def caches_know_their_users(resource: Resource, _: Stack) -> Iterator[str]:
    """A cache has users, each with a password, and none that administers it."""
    if not resource.type.startswith("aws:elasticache/"):
        return
    props = resource.props
    if resource.kind != "User":
        if not props.get("userGroupIds"):
            yield "userGroupIds must be given"
        return
    if props.get("noPasswordRequired") or not props.get("passwords"):
        yield "passwords must be given"
    rights = (props.get("accessString") or "").split()
    if any(each not in rights for each in _WITHOUT):
        yield f"accessString must have {' and '.join(_WITHOUT)}"


@rule("55c", "FSBP ElastiCache.5", "CKV_AWS_30", kinds=_GROUP)
def caches_take_tls_alone(resource: Resource, _: Stack) -> Iterator[str]:
    """A cache refuses connections without TLS."""
    props = resource.props
    if props.get("transitEncryptionEnabled") is not True:
        yield "transitEncryptionEnabled must be true"
    if props.get("transitEncryptionMode") != "required":
        yield "transitEncryptionMode must be required"


RULES = (
    caches_survive_a_zone,
    caches_are_inside,
    caches_are_encrypted,
    caches_know_their_users,
    caches_take_tls_alone,
)
