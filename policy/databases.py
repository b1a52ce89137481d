"""What databases of RDS' keep to."""

from collections.abc import Iterator

from policy.rule import Resource, Stack, rule

_INSTANCE = ["Instance"]
_LEAST_BACKUPS = 7


def _is_rds(resource: Resource) -> bool:
    return resource.type.startswith("aws:rds/")


@rule("11b", "FSBP RDS.5", "FSBP RDS.8", "FSBP RDS.11", kinds=_INSTANCE)
def databases_survive_mistakes(resource: Resource, _: Stack) -> Iterator[str]:
    """A database is in two zones and backed up, and one that is kept leaves a snapshot behind."""
    if not _is_rds(resource):
        return
    props = resource.props
    if props.get("multiAz") is not True:
        yield "multiAz must be true"
    if (props.get("backupRetentionPeriod") or 0) < _LEAST_BACKUPS:
        yield f"backupRetentionPeriod must be {_LEAST_BACKUPS} at least"
    if bool(props.get("deletionProtection")) != resource.protect:
        yield f"deletionProtection must be {resource.protect}"
    if bool(props.get("skipFinalSnapshot")) == resource.protect:
        yield f"skipFinalSnapshot must be {not resource.protect}"


@rule("11d", "FSBP RDS.9", "FSBP RDS.13", "FSBP RDS.17", kinds=_INSTANCE)
def databases_keep_up_and_tell(resource: Resource, _: Stack) -> Iterator[str]:
    """A database takes small updates by itself, keeps its log elsewhere and its snapshots' tags."""
    if not _is_rds(resource):
        return
    for key in ("autoMinorVersionUpgrade", "copyTagsToSnapshot"):
        if resource.props.get(key) is not True:
            yield f"{key} must be true"
    if "postgresql" not in (resource.props.get("enabledCloudwatchLogsExports") or ()):
        yield "enabledCloudwatchLogsExports must have postgresql"


@rule("21b", "FSBP RDS.2", "CKV_AWS_17", kinds=_INSTANCE)
def databases_are_not_public(resource: Resource, _: Stack) -> Iterator[str]:
    """A database has no public address, and a subnet group and a security group of its own."""
    if not _is_rds(resource):
        return
    if resource.props.get("publiclyAccessible") is not False:
        yield "publiclyAccessible must be false"
    for key in ("dbSubnetGroupName", "vpcSecurityGroupIds"):
        if not resource.props.get(key):
            yield f"{key} must be given"


@rule("23b", "FSBP RDS.3", "CKV_AWS_16", kinds=_INSTANCE)
def databases_are_encrypted(resource: Resource, _: Stack) -> Iterator[str]:
    """A database is encrypted with a key of the account's own."""
    if not _is_rds(resource):
        return
    if resource.props.get("storageEncrypted") is not True or not resource.props.get("kmsKeyId"):
        yield "storageEncrypted must be true, with a kmsKeyId"


@rule("28b", "FSBP RDS.10", "CKV_AWS_161", kinds=_INSTANCE)
def databases_know_roles(resource: Resource, _: Stack) -> Iterator[str]:
    """A database lets roles log in, and nobody here knows the password of its master."""
    if not _is_rds(resource):
        return
    for key in ("iamDatabaseAuthenticationEnabled", "manageMasterUserPassword"):
        if resource.props.get(key) is not True:
            yield f"{key} must be true"
    if resource.props.get("password") is not None:
        yield "password must not be given"


@rule("55b", "CKV2_AWS_69", kinds=["ParameterGroup"])
def databases_take_tls_alone(resource: Resource, _: Stack) -> Iterator[str]:
    """A database refuses connections without TLS."""
    found = {each["name"]: each["value"] for each in resource.props.get("parameters") or ()}
    if resource.type.startswith("aws:rds/") and found.get("rds.force_ssl") != "1":
        yield "parameter rds.force_ssl must be 1"


RULES = (
    databases_survive_mistakes,
    databases_keep_up_and_tell,
    databases_are_not_public,
    databases_are_encrypted,
    databases_know_roles,
    databases_take_tls_alone,
)
