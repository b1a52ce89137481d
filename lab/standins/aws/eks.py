"""EKS: the cluster as far as it is emulated, and the echoes of what has no emulator.

An echo makes nothing. Its request is held against Amazon's own description of the call, and the
cluster that it names is looked for; refused are requests that no such call could be.
"""

from collections.abc import Mapping
from typing import Any, Final

from lab.standins.aws import stage
from lab.standins.aws.row import Call, Row
from lab.standins.aws.shaping import Values

_LATER: Final = frozenset({"publicAccessCidrs", "endpointPublicAccess", "endpointPrivateAccess"})


def _logging(values: Values) -> dict[str, Any] | None:
    types = values.get("enabledClusterLogTypes")
    return {"clusterLogging": [{"types": types, "enabled": True}]} if types else None


def _encryption(values: Values) -> list[dict[str, Any]] | None:
    given = values.get("encryptionConfig")
    provider = {"keyArn": given["provider"]["keyArn"]} if given else {}
    return [{"resources": given["resources"], "provider": provider}] if given else None


def _reach(values: Values) -> dict[str, Any]:
    given = values["vpcConfig"]
    return {key: given[key] for key in _LATER if given.get(key) is not None}


def _vpc(values: Values) -> dict[str, Any]:
    return {key: item for key, item in values["vpcConfig"].items() if item is not None}


def _echo(
    make: str,
    why: str,
    identity: str,
    *inputs: str,
    tags: str | None = "",
) -> Row:
    return Row(
        service="eks",
        make=Call(make, {}),
        plain=frozenset(inputs),
        identity=identity,
        look=Call("describe_cluster", {"name": "{clusterName}"}),
        there="cluster",
        tags=tags,
        echo=why,
    )


ROWS: Final[Mapping[str, Row]] = {
    "aws:eks/cluster:Cluster": Row(
        service="eks",
        make=Call(
            "create_cluster",
            {
                "resourcesVpcConfig": _vpc,
                "encryptionConfig": _encryption,
                "logging": _logging,
            },
        ),
        plain=frozenset(
            {
                *("name", "version", "roleArn", "accessConfig", "bootstrapSelfManagedAddons"),
                *("computeConfig", "kubernetesNetworkConfig", "storageConfig", "upgradePolicy"),
                "deletionProtection",
            }
        ),
        other=frozenset({"vpcConfig", "encryptionConfig", "enabledClusterLogTypes"}),
        identity="{name}",
        change=(
            Call(
                "update_cluster_config",
                {"name": "{id}", "resourcesVpcConfig": _reach},
                of=frozenset({"vpcConfig"}),
            ),
            Call(
                "update_cluster_config",
                {"name": "{id}", "logging": _logging},
                of=frozenset({"enabledClusterLogTypes"}),
            ),
        ),
        look=Call("describe_cluster", {"name": "{id}"}),
        there="cluster",
        outputs={
            "arn": "=arn",
            "status": "=status",
            # Nothing answers where the emulator says; who stands for it, does.
            "endpoint": lambda _: stage.cluster()[0],
            "certificateAuthority": lambda _: {"data": stage.cluster()[1]},
            # The emulator makes none.
            "vpcConfig.clusterSecurityGroupId": lambda _: stage.security_group(),
        },
        end=(Call("delete_cluster", {"name": "{id}"}),),
        tags="",
    ),
    "aws:eks/addon:Addon": _echo(
        "create_addon",
        "the emulator's EKS has no add-ons",
        "{clusterName}:{addonName}",
        *("addonName", "clusterName"),
    ),
    "aws:eks/accessEntry:AccessEntry": _echo(
        "create_access_entry",
        "the emulator's EKS gives nobody access; who logs in is the API server's administrator",
        "{clusterName}:{principalArn}",
        *("clusterName", "principalArn", "kubernetesGroups"),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _echo(
        "associate_access_policy",
        "the emulator's EKS gives nobody access; who logs in is the API server's administrator",
        "{clusterName}#{principalArn}#{policyArn}",
        *("clusterName", "principalArn", "policyArn", "accessScope"),
        tags=None,
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _echo(
        "create_pod_identity_association",
        "the emulator's EKS has no Pod Identity: pods get no role",
        "{clusterName},{namespace}/{serviceAccount}",
        *("clusterName", "namespace", "serviceAccount", "roleArn"),
    ),
}
