"""RDS, and ElastiCache as far as it is emulated: its users and its groups of nodes."""

from collections.abc import Mapping
from typing import Any, Final

from lab.standins.aws.row import Call, Row
from lab.standins.aws.shaping import Values


def _named(values: Values) -> list[dict[str, Any]]:
    return [
        {"ParameterName": each["name"], "ParameterValue": each["value"]}
        for each in values["parameters"]
    ]


def _settings(values: Values) -> list[dict[str, Any]]:
    return [
        {**named, "ApplyMethod": each.get("applyMethod") or "immediate"}
        for named, each in zip(_named(values), values["parameters"], strict=True)
    ]


def _user(values: Values) -> str:
    return values["userIds"][0]


def _subnets(service: str, prefix: str, **more: Any) -> Row:  # noqa: ANN401 - as of a row
    """A group of subnets: each service has its own word before the same ones."""
    return Row(
        service=service,
        make=Call(
            f"create_{prefix.lower()}_subnet_group",
            {
                f"{prefix}SubnetGroupName": "{name}",
                f"{prefix}SubnetGroupDescription": "{description}",
            },
        ),
        plain=frozenset({"subnetIds"}),
        other=frozenset({"name", "description"}),
        identity="{name}",
        named="name",
        tags="",
        **more,
    )


def _parameters(service: str, prefix: str, given: dict[str, Any], **more: Any) -> Row:  # noqa: ANN401
    """A group of parameters, likewise; `given` is how the service takes them."""
    group = f"{prefix}ParameterGroup"
    return Row(
        service=service,
        make=Call(
            f"create_{prefix.lower()}_parameter_group",
            {f"{group}Name": "{name}", f"{group}Family": "{family}"},
        ),
        plain=frozenset({"description"}),
        other=frozenset({"name", "family", "parameters"}),
        identity="{name}",
        then=(
            Call(
                f"modify_{prefix.lower()}_parameter_group",
                {f"{group}Name": "{id}", **given},
                of=frozenset({"parameters"}),
            ),
        ),
        named="name",
        tags="",
        **more,
    )


ROWS: Final[Mapping[str, Row]] = {
    "aws:rds/subnetGroup:SubnetGroup": _subnets(
        "rds",
        "DB",
        look=Call("describe_db_subnet_groups", {"DBSubnetGroupName": "{id}"}),
        there="DBSubnetGroups[0]",
        outputs={"arn": "=DBSubnetGroupArn", "vpcId": "=VpcId"},
        end=(Call("delete_db_subnet_group", {"DBSubnetGroupName": "{id}"}),),
    ),
    "aws:rds/parameterGroup:ParameterGroup": _parameters(
        "rds",
        "DB",
        {"Parameters": _settings},
        look=Call("describe_db_parameter_groups", {"DBParameterGroupName": "{id}"}),
        there="DBParameterGroups[0]",
        outputs={"arn": "=DBParameterGroupArn"},
        end=(Call("delete_db_parameter_group", {"DBParameterGroupName": "{id}"}),),
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
    "aws:elasticache/subnetGroup:SubnetGroup": _subnets(
        "elasticache",
        "Cache",
        echo="the emulator's ElastiCache makes groups of subnets and never deletes one",
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": _parameters(
        "elasticache",
        "Cache",
        {"ParameterNameValues": _named},
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
