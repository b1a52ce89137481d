"""RDS, and ElastiCache as far as it is emulated: its users and its groups of nodes."""

from collections.abc import Mapping
from typing import Any, Final

from lab.standins.aws.row import Call, Row
from lab.standins.aws.shaping import Values


def _settings(values: Values) -> list[dict[str, Any]]:
    return [
        {
            "ParameterName": each["name"],
            "ParameterValue": each["value"],
            "ApplyMethod": each.get("applyMethod") or "immediate",
        }
        for each in values["parameters"]
    ]


def _values(values: Values) -> list[dict[str, Any]]:
    return [
        {"ParameterName": each["name"], "ParameterValue": each["value"]}
        for each in values["parameters"]
    ]


def _user(values: Values) -> str:
    return values["userIds"][0]


ROWS: Final[Mapping[str, Row]] = {
    "aws:rds/subnetGroup:SubnetGroup": Row(
        service="rds",
        make=Call(
            "create_db_subnet_group",
            {"DBSubnetGroupName": "{name}", "DBSubnetGroupDescription": "{description}"},
        ),
        plain=frozenset({"subnetIds"}),
        other=frozenset({"name", "description"}),
        identity="{name}",
        look=Call("describe_db_subnet_groups", {"DBSubnetGroupName": "{id}"}),
        there="DBSubnetGroups[0]",
        outputs={"arn": "=DBSubnetGroupArn", "vpcId": "=VpcId"},
        end=(Call("delete_db_subnet_group", {"DBSubnetGroupName": "{id}"}),),
        named="name",
        tags="",
    ),
    "aws:rds/parameterGroup:ParameterGroup": Row(
        service="rds",
        make=Call(
            "create_db_parameter_group",
            {
                "DBParameterGroupName": "{name}",
                "DBParameterGroupFamily": "{family}",
            },
        ),
        plain=frozenset({"description"}),
        other=frozenset({"name", "family", "parameters"}),
        identity="{name}",
        then=(
            Call(
                "modify_db_parameter_group",
                {"DBParameterGroupName": "{id}", "Parameters": _settings},
                of=frozenset({"parameters"}),
            ),
        ),
        look=Call("describe_db_parameter_groups", {"DBParameterGroupName": "{id}"}),
        there="DBParameterGroups[0]",
        outputs={"arn": "=DBParameterGroupArn"},
        end=(Call("delete_db_parameter_group", {"DBParameterGroupName": "{id}"}),),
        named="name",
        tags="",
    ),
    "aws:rds/instance:Instance": Row(
        service="rds",
        make=Call(
            "create_db_instance",
            {
                "DBInstanceIdentifier": "{identifier}",
                "DBInstanceClass": "{instanceClass}",
                "MasterUsername": "{username}",
                "EnableIAMDatabaseAuthentication": "{iamDatabaseAuthenticationEnabled}",
                "DBParameterGroupName": "{parameterGroupName}",
                "EnableCloudwatchLogsExports": "{enabledCloudwatchLogsExports}",
            },
        ),
        plain=frozenset(
            {
                *("engine", "engineVersion", "autoMinorVersionUpgrade", "allocatedStorage"),
                *("maxAllocatedStorage", "storageType", "storageEncrypted", "kmsKeyId", "dbName"),
                *("manageMasterUserPassword", "masterUserSecretKmsKeyId", "multiAz"),
                *("publiclyAccessible", "dbSubnetGroupName", "vpcSecurityGroupIds"),
                *("backupRetentionPeriod", "copyTagsToSnapshot", "deletionProtection"),
            }
        ),
        other=frozenset(
            {
                *("identifier", "instanceClass", "username", "iamDatabaseAuthenticationEnabled"),
                *("parameterGroupName", "enabledCloudwatchLogsExports"),
                *("deleteAutomatedBackups", "skipFinalSnapshot", "finalSnapshotIdentifier"),
            }
        ),
        identity="{identifier}",
        look=Call("describe_db_instances", {"DBInstanceIdentifier": "{id}"}),
        there="DBInstances[0]",
        outputs={
            "arn": "=DBInstanceArn",
            "address": "=Endpoint.Address",
            "resourceId": "=DbiResourceId",
            "masterUserSecrets": "=[MasterUserSecret.{{secretArn: SecretArn, kmsKeyId: KmsKeyId}}]",
        },
        end=(
            Call(
                "delete_db_instance",
                {
                    "DBInstanceIdentifier": "{id}",
                    "SkipFinalSnapshot": "{skipFinalSnapshot}",
                    "FinalDBSnapshotIdentifier": "{finalSnapshotIdentifier}",
                    "DeleteAutomatedBackups": "{deleteAutomatedBackups}",
                },
            ),
        ),
        named="identifier",
        tags="",
    ),
    "aws:elasticache/subnetGroup:SubnetGroup": Row(
        service="elasticache",
        make=Call(
            "create_cache_subnet_group",
            {"CacheSubnetGroupName": "{name}", "CacheSubnetGroupDescription": "{description}"},
        ),
        plain=frozenset({"subnetIds"}),
        other=frozenset({"name", "description"}),
        identity="{name}",
        named="name",
        tags="",
        echo="the emulator's ElastiCache makes groups of subnets and never deletes one",
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": Row(
        service="elasticache",
        make=Call(
            "create_cache_parameter_group",
            {
                "CacheParameterGroupName": "{name}",
                "CacheParameterGroupFamily": "{family}",
            },
        ),
        plain=frozenset({"description"}),
        other=frozenset({"name", "family", "parameters"}),
        identity="{name}",
        then=(
            Call(
                "modify_cache_parameter_group",
                {"CacheParameterGroupName": "{id}", "ParameterNameValues": _values},
                of=frozenset({"parameters"}),
            ),
        ),
        named="name",
        tags="",
        echo="the emulator's ElastiCache has no parameters",
    ),
    "aws:elasticache/user:User": Row(
        service="elasticache",
        make=Call("create_user", {}),
        plain=frozenset({"userId", "userName", "engine", "accessString", "passwords"}),
        identity="{userId}",
        look=Call("describe_users", {"UserId": "{id}"}),
        there="Users[?Status!='deleting'] | [0]",
        outputs={"arn": "=ARN"},
        # The emulator forgets one, and its id is free again, when it is asked for once more.
        end=(
            Call("delete_user", {"UserId": "{id}"}),
            Call("describe_users", {"UserId": "{id}"}),
        ),
        tags="",
    ),
    "aws:elasticache/userGroup:UserGroup": Row(
        service="elasticache",
        make=Call("create_user_group", {}),
        plain=frozenset({"userGroupId", "engine", "userIds"}),
        identity="{userGroupId}",
        look=Call("describe_users", {"UserId": _user}),
        there="Users[?Status!='deleting'] | [0]",
        tags="",
        echo="the emulator's ElastiCache has no groups of users; the first user is looked for",
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": Row(
        service="elasticache",
        make=Call(
            "create_replication_group",
            {
                "ReplicationGroupDescription": "{description}",
                "CacheNodeType": "{nodeType}",
                "CacheParameterGroupName": "{parameterGroupName}",
                "CacheSubnetGroupName": "{subnetGroupName}",
            },
        ),
        plain=frozenset(
            {
                *("replicationGroupId", "engine", "engineVersion", "autoMinorVersionUpgrade"),
                *("numCacheClusters", "automaticFailoverEnabled", "multiAzEnabled", "port"),
                *("securityGroupIds", "transitEncryptionEnabled", "transitEncryptionMode"),
                *("atRestEncryptionEnabled", "kmsKeyId", "userGroupIds", "snapshotRetentionLimit"),
            }
        ),
        other=frozenset(
            {
                *("description", "nodeType", "parameterGroupName", "subnetGroupName"),
                "finalSnapshotIdentifier",
            }
        ),
        identity="{replicationGroupId}",
        look=Call("describe_replication_groups", {"ReplicationGroupId": "{id}"}),
        # The emulator never forgets one, and so its name is not free again.
        there="ReplicationGroups[?Status!='deleting'] | [0]",
        outputs={
            "arn": "=ARN",
            "primaryEndpointAddress": "=NodeGroups[0].PrimaryEndpoint.Address",
        },
        end=(
            Call(
                "delete_replication_group",
                {
                    "ReplicationGroupId": "{id}",
                    "FinalSnapshotIdentifier": "{finalSnapshotIdentifier}",
                },
            ),
        ),
        named="replicationGroupId",
        tags="",
    ),
}
