"""The settings of a bucket that are covered, one row each."""

from collections.abc import Mapping
from typing import Any, Final

from lab.standins.aws.setting import Setting
from lab.standins.aws.shapes import from_api, to_api
from lab.standins.provider import Properties


def _lifecycle_request(inputs: Properties) -> dict[str, Any]:
    rules = [
        rule if "prefix" in rule or "filter" in rule else {**rule, "filter": {"prefix": ""}}
        for rule in inputs.get("rules", [])
    ]
    size = inputs.get("transitionDefaultMinimumObjectSize")
    return {
        "LifecycleConfiguration": {"Rules": to_api(rules)},
        **({"TransitionDefaultMinimumObjectSize": size} if size else {}),
    }


def _rules(answer: dict[str, Any]) -> Properties:
    return from_api(_part(answer, "Rules", "TransitionDefaultMinimumObjectSize"))


def _object_lock(answer: dict[str, Any]) -> Properties:
    seen = from_api(answer.get("ObjectLockConfiguration", {}))
    # A rule that was taken away may be reported as an empty one.
    return {key: item for key, item in seen.items() if item}


def _ownership(answer: dict[str, Any]) -> Properties:
    rules = answer.get("OwnershipControls", {}).get("Rules", [])
    return {"rule": from_api(rules[0])} if rules else {}


def _part(values: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}


_ENCRYPTION: Final = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
_BLOCKS: Final = (
    "blockPublicAcls",
    "blockPublicPolicy",
    "ignorePublicAcls",
    "restrictPublicBuckets",
)

SETTINGS: Final[Mapping[str, Setting]] = {
    "aws:s3/bucketVersioning:BucketVersioning": Setting(
        put="put_bucket_versioning",
        get="get_bucket_versioning",
        off={"VersioningConfiguration": {"Status": "Suspended"}},
        # A lock keeps versioning on for as long as the bucket lives.
        absent=frozenset({"InvalidBucketState"}),
        own=frozenset({"versioningConfiguration"}),
        request=lambda inputs: {
            "VersioningConfiguration": to_api(inputs["versioningConfiguration"])
        },
        properties=lambda answer: (
            {"versioningConfiguration": from_api(_part(answer, "Status", "MFADelete"))}
            if "Status" in answer
            else {}
        ),
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": Setting(
        put="put_object_lock_configuration",
        get="get_object_lock_configuration",
        off={"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
        absent=frozenset({"ObjectLockConfigurationNotFoundError"}),
        own=frozenset({"objectLockEnabled", "rule"}),
        request=lambda inputs: {
            "ObjectLockConfiguration": to_api(_part(inputs, "objectLockEnabled", "rule"))
        },
        properties=_object_lock,
        defaults={"objectLockEnabled": "Enabled"},
        fixed=frozenset({"objectLockEnabled"}),
    ),
    _ENCRYPTION: Setting(
        put="put_bucket_encryption",
        get="get_bucket_encryption",
        remove="delete_bucket_encryption",
        absent=frozenset({"ServerSideEncryptionConfigurationNotFoundError"}),
        own=frozenset({"rules"}),
        request=lambda inputs: {
            "ServerSideEncryptionConfiguration": {"Rules": to_api(inputs["rules"])}
        },
        properties=lambda answer: _rules(answer.get("ServerSideEncryptionConfiguration", {})),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Setting(
        put="put_public_access_block",
        get="get_public_access_block",
        remove="delete_public_access_block",
        absent=frozenset({"NoSuchPublicAccessBlockConfiguration"}),
        own=frozenset({*_BLOCKS, "skipDestroy"}),
        request=lambda inputs: {
            "PublicAccessBlockConfiguration": to_api({key: inputs[key] for key in _BLOCKS})
        },
        properties=lambda answer: from_api(answer.get("PublicAccessBlockConfiguration", {})),
        defaults=dict.fromkeys(_BLOCKS, False),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Setting(
        put="put_bucket_lifecycle_configuration",
        get="get_bucket_lifecycle_configuration",
        remove="delete_bucket_lifecycle",
        absent=frozenset({"NoSuchLifecycleConfiguration"}),
        own=frozenset({"rules", "transitionDefaultMinimumObjectSize"}),
        request=_lifecycle_request,
        properties=_rules,
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Setting(
        put="put_bucket_policy",
        get="get_bucket_policy",
        remove="delete_bucket_policy",
        absent=frozenset({"NoSuchBucketPolicy"}),
        own=frozenset({"policy"}),
        request=lambda inputs: {"Policy": inputs["policy"]},
        properties=lambda answer: {"policy": answer["Policy"]} if "Policy" in answer else {},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Setting(
        put="put_bucket_ownership_controls",
        get="get_bucket_ownership_controls",
        remove="delete_bucket_ownership_controls",
        absent=frozenset({"OwnershipControlsNotFoundError"}),
        own=frozenset({"rule"}),
        request=lambda inputs: {"OwnershipControls": {"Rules": [to_api(inputs["rule"])]}},
        properties=_ownership,
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": Setting(
        put="put_bucket_replication",
        get="get_bucket_replication",
        remove="delete_bucket_replication",
        absent=frozenset({"ReplicationConfigurationNotFoundError"}),
        own=frozenset({"role", "rules"}),
        forgotten=frozenset({"sourceSelectionCriteria"}),
        request=lambda inputs: {"ReplicationConfiguration": to_api(_part(inputs, "role", "rules"))},
        properties=lambda answer: from_api(
            _part(answer.get("ReplicationConfiguration", {}), "Role", "Rules")
        ),
    ),
    "aws:s3/bucketLogging:BucketLogging": Setting(
        put="put_bucket_logging",
        get="get_bucket_logging",
        off={"BucketLoggingStatus": {}},
        own=frozenset({"targetBucket", "targetPrefix"}),
        request=lambda inputs: {
            "BucketLoggingStatus": {
                "LoggingEnabled": to_api(_part(inputs, "targetBucket", "targetPrefix"))
            }
        },
        properties=lambda answer: from_api(
            _part(answer.get("LoggingEnabled", {}), "TargetBucket", "TargetPrefix")
        ),
    ),
}
