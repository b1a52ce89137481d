"""What clusters of EKS' keep to, and the nodes that are theirs."""

import re
from collections.abc import Iterator

from policy.rule import Resource, Stack, at, rule

_LOGS = {"api", "audit", "authenticator", "controllerManager", "scheduler"}
_ANYWHERE = {"0.0.0.0/0", "::/0"}


def _is_eks(resource: Resource) -> bool:
    return resource.type.startswith("aws:eks/")


@rule("21", "FSBP EKS.1", "CKV_AWS_38", "CKV_AWS_39", "CIS EKS 5.4.1", kinds=["Cluster"])
def the_api_is_not_for_everybody(resource: Resource, _: Stack) -> Iterator[str]:
    """A cluster's API answers inside the network, and outside it to named addresses alone."""
    if not _is_eks(resource):
        return
    network = at(resource.props, "vpcConfig", {})
    if network.get("endpointPrivateAccess") is not True:
        yield "vpcConfig.endpointPrivateAccess must be true"
    if network.get("endpointPublicAccess") is not False:
        named = set(network.get("publicAccessCidrs") or ())
        if not named or named & _ANYWHERE:
            yield "vpcConfig.publicAccessCidrs must name addresses, or be of no use"


@rule("22", "FSBP EKS.2", "CKV_AWS_339", kinds=["Cluster"])
def the_version_is_pinned_and_supported(resource: Resource, _: Stack) -> Iterator[str]:
    """A cluster names its version, and moves on before its support ends."""
    if not _is_eks(resource):
        return
    if not re.fullmatch(r"1\.\d{2}", str(resource.props.get("version"))):
        yield f"version must be one like 1.34, is {resource.props.get('version')}"
    if at(resource.props, "upgradePolicy.supportType") != "STANDARD":
        yield "upgradePolicy.supportType must be STANDARD"


@rule("23", "FSBP EKS.3", "CKV_AWS_58", "CIS EKS 5.3.1", "NSA C-0066", kinds=["Cluster"])
def secrets_are_encrypted_twice(resource: Resource, _: Stack) -> Iterator[str]:
    """A cluster encrypts Secrets with a key of the account's own before it stores them."""
    found = at(resource.props, "encryptionConfig", {})
    if not _is_eks(resource):
        return
    if "secrets" not in (found.get("resources") or ()) or not at(found, "provider.keyArn"):
        yield "encryptionConfig must have a provider.keyArn for secrets"


@rule("24", "FSBP EKS.8", "CKV_AWS_37", "CIS EKS 2.1.1", "NSA C-0067", kinds=["Cluster"])
def the_control_plane_is_logged(resource: Resource, _: Stack) -> Iterator[str]:
    """A cluster writes all five logs of its control plane."""
    missing = _LOGS - set(resource.props.get("enabledClusterLogTypes") or ())
    if _is_eks(resource) and missing:
        yield f"enabledClusterLogTypes lacks {', '.join(sorted(missing))}"


@rule("24b", "CKV_AWS_158", "CKV_AWS_338", kinds=["LogGroup"])
def logs_are_encrypted_and_kept(resource: Resource, _: Stack) -> Iterator[str]:
    """A group of logs is encrypted with a key of the account's own, and kept for 90 days."""
    if not resource.props.get("kmsKeyId"):
        yield "kmsKeyId must be set"
    if (resource.props.get("retentionInDays") or 0) < 90:
        yield "retentionInDays must be 90 at least"


@rule("26", "CKV_AWS_79", "CKV_AWS_341", kinds=["Cluster"])
def nodes_are_amazons(resource: Resource, _: Stack) -> Iterator[str]:
    """A cluster's nodes are run by EKS, whose images ask for a token of whoever wants metadata."""
    if _is_eks(resource) and at(resource.props, "computeConfig.enabled") is not True:
        yield "computeConfig.enabled must be true"


@rule("27", "CIS EKS 4.1.7", kinds=["Cluster"])
def access_is_by_entries(resource: Resource, _: Stack) -> Iterator[str]:
    """A cluster knows access entries alone, and whoever made it has none for that."""
    if not _is_eks(resource):
        return
    access = at(resource.props, "accessConfig", {})
    if access.get("authenticationMode") != "API":
        yield f"accessConfig.authenticationMode must be API, is {access.get('authenticationMode')}"
    if access.get("bootstrapClusterCreatorAdminPermissions") is not False:
        yield "accessConfig.bootstrapClusterCreatorAdminPermissions must be false"


@rule("27b", "FSBP EKS.1", kinds=["Cluster"])
def a_kept_cluster_refuses_its_deletion(resource: Resource, _: Stack) -> Iterator[str]:
    """A cluster that the engine protects, its cloud protects too."""
    if _is_eks(resource) and bool(resource.props.get("deletionProtection")) != resource.protect:
        yield f"deletionProtection must be {resource.protect}"


@rule(
    "32",
    *("CIS EKS 3.2.1-3.2.9", "NSA C-0069", "NSA C-0070"),
    kinds=["NodeGroup", "LaunchTemplate", "LaunchConfiguration", "FargateProfile"],
)
def no_node_is_set_up_by_hand(resource: Resource, _: Stack) -> Iterator[str]:
    """There is no node whose kubelet the stack would have to set up."""
    yield f"a {resource.kind} makes nodes beside those that EKS runs"


RULES = (
    the_api_is_not_for_everybody,
    the_version_is_pinned_and_supported,
    secrets_are_encrypted_twice,
    the_control_plane_is_logged,
    logs_are_encrypted_and_kept,
    nodes_are_amazons,
    access_is_by_entries,
    a_kept_cluster_refuses_its_deletion,
    no_node_is_set_up_by_hand,
)
