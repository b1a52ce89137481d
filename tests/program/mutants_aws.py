"""Ways to break what only a stack on AWS has; see mutants.py."""

import json
from typing import Any

from tests.program.mutants import GONE, of

_EVERYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["s3:GetObject"]}


def _document(**statement: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps({"Statement": [{"Effect": "Allow", "Resource": ["r"], **statement}]})


def _expiring(**selection: Any) -> str:  # noqa: ANN401 - JSON
    whole = {"countType": "sinceImagePushed", "countNumber": 30, "tagStatus": "untagged"}
    return json.dumps({"rules": [{"rulePriority": 1, "selection": {**whole, **selection}}]})


_USER = "arn:aws:iam::123456789012:user/ada"
_TOKEN = "token.actions.githubusercontent.com"
_PARAMETERS = "rds/parameterGroup:ParameterGroup"
_COPIED = "BucketReplicationConfig"
_KEYED = "applyServerSideEncryptionByDefault"
MUTATIONS = [
    *(
        mutation
        for key in (
            *("blockPublicAcls", "blockPublicPolicy"),
            *("ignorePublicAcls", "restrictPublicBuckets"),
        )
        for mutation in of("1", "BucketPublicAccessBlock", key, False, GONE)
    ),
    *of("2", "Bucket", "acl", "public-read", "authenticated-read"),
    *of("3", "BucketPolicy", "policy", _document(Action=["s3:GetObject"]), GONE),
    *of("4", "BucketPolicy", "policy", json.dumps({"Statement": [_EVERYBODY]})),
    *of("5", "BucketLogging", "targetBucket", GONE),
    *of("6", "BucketOwnershipControls", "rule.objectOwnership", "ObjectWriter", GONE),
    *of("7", "BucketLifecycleConfiguration", "rules", GONE, []),
    *of("7", "BucketLifecycleConfiguration", "rules[].noncurrentVersionExpiration", GONE),
    *of("7b", _COPIED, "rules[].status", "Disabled", GONE),
    *of("7b", _COPIED, "rules[].filter.prefix", "data/", GONE),
    *of("7b", _COPIED, "rules[].deleteMarkerReplication.status", "Enabled", GONE),
    *of("7b", _COPIED, "rules[].sourceSelectionCriteria", GONE),
    *of("7b", _COPIED, "rules[].destination.encryptionConfiguration", GONE),
    *of("9", "BucketServerSideEncryptionConfiguration", f"rules[].{_KEYED}.sseAlgorithm", "AES256"),
    *of("11", "Bucket", "forceDestroy", True),
    *of("12", "Key", "enableKeyRotation", False, GONE),
    *of("13", "Key", "policy", GONE, _document(Principal="*", Action=["kms:Decrypt"])),
    *of("13", "Key", "policy", _document(Principal={"AWS": "arn"}, Action=["kms:*"])),
    *of("14", "Key", "deletionWindowInDays", 7, GONE),
    *of("14", "Key", "isEnabled", False),
    *of("15", "RolePolicy", "policy", _document(Action=["kms:Decrypt"], Resource="*")),
    *of("16", "Repository", "imageScanningConfiguration.scanOnPush", False, GONE),
    *of("17", "Repository", "imageTagMutability", "MUTABLE", GONE),
    *of("18", "LifecyclePolicy", "policy", _expiring(tagStatus="any"), _expiring(countNumber=1)),
    *of("18", "LifecyclePolicy", "policy", _expiring(countType="imageCountMoreThan")),
    *of("19", "Repository", "encryptionConfigurations", GONE, [{"encryptionType": "AES256"}]),
    *of("21", "Cluster", "vpcConfig.publicAccessCidrs", ["0.0.0.0/0"], GONE),
    *of("21", "Cluster", "vpcConfig.endpointPrivateAccess", False, GONE),
    *of("22", "Cluster", "version", GONE, "latest"),
    *of("22", "Cluster", "upgradePolicy.supportType", "EXTENDED", GONE),
    *of("23", "Cluster", "encryptionConfig", GONE),
    *of("23", "Cluster", "encryptionConfig.resources", []),
    *of("24", "Cluster", "enabledClusterLogTypes", GONE, ["api", "audit"]),
    *of("24b", "LogGroup", "kmsKeyId", GONE),
    *of("24b", "LogGroup", "retentionInDays", GONE, 7),
    *of("25", "Subnet", "mapPublicIpOnLaunch", True, GONE),
    *of("26", "Cluster", "computeConfig.enabled", False, GONE),
    *of("27", "Cluster", "accessConfig.authenticationMode", "CONFIG_MAP", GONE),
    *of("27", "Cluster", "accessConfig.bootstrapClusterCreatorAdminPermissions", True, GONE),
    *of("27b", "Cluster", "deletionProtection", False, GONE),
    *of("28", "PodIdentityAssociation", "serviceAccount", "default"),
    *of("28", "PodIdentityAssociation", "namespace", "kube-system"),
    *of("29", "RolePolicy", "policy", _document(Action=["s3:*"]), _document(Action="*")),
    *of("29", "RolePolicy", "policy", _document(Action=["s3:GetObject"], Resource="*")),
    *of("29", "RolePolicy", "policy", _document(NotAction=["s3:GetObject"])),
    *of("29b", "RolePolicy", "policy", _document(Action=["iam:PassRole"])),
    *of("29b", "RolePolicy", "policy", _document(Action=["eks:CreateAccessEntry"])),
    *of("29c", "RolePolicyAttachment", "policyArn", "arn:aws:iam::aws:policy/AdministratorAccess"),
    *of("29c", "RolePolicyAttachment", "policyArn", "arn:aws:iam::aws:policy/AmazonS3FullAccess"),
    *of("30", "Role", "assumeRolePolicy", _document(Principal="*", Action=["sts:AssumeRole"])),
    *of(
        "30",
        "Role",
        "assumeRolePolicy",
        _document(
            Principal={"Federated": "issuer"},
            Condition={"StringLike": {f"{_TOKEN}:sub": "repo:bank/*", f"{_TOKEN}:aud": "sts"}},
        ),
    ),
    *(
        mutation
        for who in ("arn:aws:iam::123456789012:root", _USER, _USER.replace("ada", "*"))
        for mutation in of("30", "Role", "assumeRolePolicy", _document(Principal={"AWS": [who]}))
    ),
    *of("31", "SecurityGroup", "description", GONE, ""),
    *of("31", "SecurityGroup", "ingress", [{"cidrBlocks": ["0.0.0.0/0"]}]),
    *of("31b", "SecurityGroupIngressRule", "cidrIpv4", "0.0.0.0/0"),
    *of("31b", "SecurityGroupIngressRule", "ipProtocol", "-1"),
    *of("31c", "DefaultSecurityGroup", "ingress", [{"protocol": "-1"}]),
    *of("31d", "FlowLog", "trafficType", "REJECT", GONE),
    *of("11b", "Instance", "multiAz", False, GONE),
    *of("11b", "Instance", "backupRetentionPeriod", 1, GONE),
    *of("11b", "Instance", "deletionProtection", False, GONE),
    *of("11b", "Instance", "skipFinalSnapshot", True),
    *of("11d", "Instance", "autoMinorVersionUpgrade", False),
    *of("11d", "Instance", "copyTagsToSnapshot", False, GONE),
    *of("11d", "Instance", "enabledCloudwatchLogsExports", GONE, ["upgrade"]),
    *of("21b", "Instance", "publiclyAccessible", True, GONE),
    *of("21b", "Instance", "dbSubnetGroupName", GONE),
    *of("21b", "Instance", "vpcSecurityGroupIds", GONE, []),
    *of("23b", "Instance", "storageEncrypted", False, GONE),
    *of("23b", "Instance", "kmsKeyId", GONE),
    *of("28b", "Instance", "iamDatabaseAuthenticationEnabled", False, GONE),
    *of("28b", "Instance", "manageMasterUserPassword", False, GONE),
    *of("28b", "Instance", "password", "hunter2"),
    *of("55b", _PARAMETERS, "parameters", GONE, [{"name": "rds.force_ssl", "value": "0"}]),
    *of("11c", "ReplicationGroup", "multiAzEnabled", False, GONE),
    *of("11c", "ReplicationGroup", "automaticFailoverEnabled", False, GONE),
    *of("11c", "ReplicationGroup", "autoMinorVersionUpgrade", False, GONE),
    *of("11c", "ReplicationGroup", "numCacheClusters", 1, GONE),
    *of("11c", "ReplicationGroup", "snapshotRetentionLimit", 0, GONE),
    *of("21c", "ReplicationGroup", "subnetGroupName", GONE),
    *of("21c", "ReplicationGroup", "securityGroupIds", GONE, []),
    *of("23c", "ReplicationGroup", "atRestEncryptionEnabled", False, GONE),
    *of("23c", "ReplicationGroup", "kmsKeyId", GONE),
    *of("28c", "ReplicationGroup", "userGroupIds", GONE, []),
    *of("28c", "User", "noPasswordRequired", True),
    *of("28c", "User", "passwords", GONE, []),
    *of("28c", "User", "accessString", "on ~* +@all", "on ~* +@all -@admin", GONE),
    *of("55c", "ReplicationGroup", "transitEncryptionEnabled", False, GONE),
    *of("55c", "ReplicationGroup", "transitEncryptionMode", "preferred", GONE),
]  # fmt: skip
