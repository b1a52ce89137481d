"""What the other services of an account make: rights, keys, logs, images, a budget."""

from collections.abc import Mapping
from typing import Any, Final

from lab.standins.aws import stage
from lab.standins.aws.row import Call, Row
from lab.standins.aws.shaping import Values

_REMOVED: Final = "KeyMetadata.[@][?KeyState!='PendingDeletion'] | [0]"


def _told(values: Values) -> list[dict[str, Any]]:
    return [
        {
            "Notification": {
                "NotificationType": each["notificationType"],
                "ComparisonOperator": each["comparisonOperator"],
                "Threshold": each["threshold"],
                "ThresholdType": each["thresholdType"],
            },
            "Subscribers": [
                {"SubscriptionType": "EMAIL", "Address": address}
                for address in each["subscriberEmailAddresses"]
            ],
        }
        for each in values.get("notifications") or []
    ]


def _encryption(values: Values) -> dict[str, str] | None:
    listed = values.get("encryptionConfigurations")
    return {**listed[0]} if listed else None


_OF_ROLE: Final = {"RoleName": "{role}", "PolicyName": "{name}"}
_OF_BUDGET: Final = {"AccountId": "{accountId}", "BudgetName": "{name}"}

ROWS: Final[Mapping[str, Row]] = {
    "aws:iam/role:Role": Row(
        service="iam",
        make=Call(
            "create_role",
            {"RoleName": "{name}", "AssumeRolePolicyDocument": "{assumeRolePolicy}"},
        ),
        plain=frozenset({"maxSessionDuration"}),
        other=frozenset({"name", "assumeRolePolicy"}),
        identity="{name}",
        change=(
            Call(
                "update_assume_role_policy",
                {"RoleName": "{name}", "PolicyDocument": "{assumeRolePolicy}"},
                of=frozenset({"assumeRolePolicy"}),
            ),
        ),
        look=Call("get_role", {"RoleName": "{id}"}),
        there="Role",
        outputs={"arn": "=Arn", "uniqueId": "=RoleId"},
        end=(Call("delete_role", {"RoleName": "{id}"}),),
        named="name",
        tags="",
    ),
    "aws:iam/rolePolicy:RolePolicy": Row(
        service="iam",
        make=Call("put_role_policy", {**_OF_ROLE, "PolicyDocument": "{policy}"}),
        other=frozenset({"role", "name", "policy"}),
        identity="{role}:{name}",
        fixed=frozenset({"role", "name"}),
        look=Call("get_role_policy", _OF_ROLE),
        there="PolicyName",
        end=(Call("delete_role_policy", _OF_ROLE),),
        named="name",
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Row(
        service="iam",
        make=Call("attach_role_policy", {"RoleName": "{role}", "PolicyArn": "{policyArn}"}),
        other=frozenset({"role", "policyArn"}),
        identity="{role}/{policyArn}",
        look=Call("list_attached_role_policies", {"RoleName": "{role}"}),
        there="AttachedPolicies[?PolicyArn=='{policyArn}'] | [0]",
        end=(Call("detach_role_policy", {"RoleName": "{role}", "PolicyArn": "{policyArn}"}),),
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Row(
        service="iam",
        make=Call("create_open_id_connect_provider", {"ClientIDList": "{clientIdLists}"}),
        plain=frozenset({"url"}),
        other=frozenset({"clientIdLists"}),
        identity="=OpenIDConnectProviderArn",
        look=Call("get_open_id_connect_provider", {"OpenIDConnectProviderArn": "{id}"}),
        there="Url",
        outputs={"arn": "{id}"},
        end=(Call("delete_open_id_connect_provider", {"OpenIDConnectProviderArn": "{id}"}),),
        tags="",
    ),
    "aws:kms/key:Key": Row(
        service="kms",
        make=Call("create_key", {}),
        plain=frozenset({"description", "policy"}),
        other=frozenset({"enableKeyRotation", "deletionWindowInDays"}),
        identity="=KeyMetadata.KeyId",
        then=(Call("enable_key_rotation", {"KeyId": "{id}"}, of=frozenset({"enableKeyRotation"})),),
        change=(
            Call(
                "put_key_policy",
                {"KeyId": "{id}", "PolicyName": "default", "Policy": "{policy}"},
                of=frozenset({"policy"}),
            ),
            Call(
                "update_key_description",
                {"KeyId": "{id}", "Description": "{description}"},
                of=frozenset({"description"}),
            ),
        ),
        look=Call("describe_key", {"KeyId": "{id}"}),
        there=_REMOVED,
        outputs={"arn": "=Arn", "keyId": "{id}"},
        end=(
            Call(
                "schedule_key_deletion",
                {"KeyId": "{id}", "PendingWindowInDays": "{deletionWindowInDays}"},
            ),
        ),
        tags="",
    ),
    "aws:kms/alias:Alias": Row(
        service="kms",
        make=Call("create_alias", {"AliasName": "{name}"}),
        plain=frozenset({"targetKeyId"}),
        other=frozenset({"name"}),
        identity="{name}",
        look=Call("describe_key", {"KeyId": "{id}"}),
        there="KeyMetadata",
        end=(Call("delete_alias", {"AliasName": "{id}"}),),
    ),
    "aws:cloudwatch/logGroup:LogGroup": Row(
        service="logs",
        make=Call("create_log_group", {"logGroupName": "{name}"}),
        plain=frozenset({"kmsKeyId"}),
        other=frozenset({"name", "retentionInDays"}),
        identity="{name}",
        then=(
            Call(
                "put_retention_policy",
                {"logGroupName": "{name}", "retentionInDays": "{retentionInDays}"},
                of=frozenset({"retentionInDays"}),
            ),
        ),
        look=Call("describe_log_groups", {"logGroupNamePrefix": "{id}"}),
        there="logGroups[?logGroupName=='{id}'] | [0]",
        outputs={"arn": "=arn"},
        end=(Call("delete_log_group", {"logGroupName": "{id}"}),),
        named="name",
        tags="",
    ),
    "aws:ecr/repository:Repository": Row(
        service="ecr",
        make=Call(
            "create_repository",
            {"repositoryName": "{name}", "encryptionConfiguration": _encryption},
        ),
        plain=frozenset({"imageTagMutability", "imageScanningConfiguration"}),
        other=frozenset({"name", "encryptionConfigurations", "forceDelete"}),
        identity="{name}",
        look=Call("describe_repositories", {"repositoryNames": ["{id}"]}),
        there="repositories[0]",
        outputs={
            "arn": "=repositoryArn",
            "registryId": "=registryId",
            # Where images can really be pushed.
            "repositoryUrl": lambda values: f"{stage.registry()}/{values['name']}",
        },
        end=(Call("delete_repository", {"repositoryName": "{id}", "force": "{forceDelete}"}),),
        named="name",
        tags="",
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Row(
        service="ecr",
        make=Call(
            "put_lifecycle_policy",
            {"repositoryName": "{repository}", "lifecyclePolicyText": "{policy}"},
        ),
        other=frozenset({"repository", "policy"}),
        identity="{repository}",
        fixed=frozenset({"repository"}),
        look=Call("get_lifecycle_policy", {"repositoryName": "{id}"}),
        there="lifecyclePolicyText",
        end=(Call("delete_lifecycle_policy", {"repositoryName": "{id}"}),),
    ),
    "aws:budgets/budget:Budget": Row(
        service="budgets",
        make=Call(
            "create_budget",
            {
                "AccountId": "{accountId}",
                "Budget": {
                    "BudgetName": "{name}",
                    "BudgetType": "{budgetType}",
                    "TimeUnit": "{timeUnit}",
                    "BudgetLimit": {"Amount": "{limitAmount}", "Unit": "{limitUnit}"},
                },
                "NotificationsWithSubscribers": _told,
            },
        ),
        other=frozenset(
            {
                *("accountId", "name", "budgetType", "timeUnit", "limitAmount", "limitUnit"),
                "notifications",
            }
        ),
        identity="{accountId}:{name}",
        look=Call("describe_budget", _OF_BUDGET),
        there="Budget",
        end=(Call("delete_budget", _OF_BUDGET),),
        named="name",
        # The emulator keeps no tags of budgets.
    ),
}
