"""What is known of kinds without asking a cluster, and which of the types are refused."""

from lab.standins.provider import Refused

_GROUPS = (
    "apps autoscaling batch extensions policy admissionregistration.k8s.io apiextensions.k8s.io "
    "apiregistration.k8s.io authentication.k8s.io authorization.k8s.io certificates.k8s.io "
    "coordination.k8s.io discovery.k8s.io events.k8s.io flowcontrol.apiserver.k8s.io "
    "internal.apiserver.k8s.io networking.k8s.io node.k8s.io rbac.authorization.k8s.io "
    "resource.k8s.io scheduling.k8s.io storage.k8s.io storagemigration.k8s.io"
)

# Of the kinds in these groups, these belong to no namespace.
_CLUSTER_WIDE = (
    "APIService CertificateSigningRequest ClusterRole ClusterRoleBinding ClusterTrustBundle "
    "ComponentStatus CSIDriver CSINode CustomResourceDefinition DeviceClass FlowSchema IPAddress "
    "IngressClass MutatingAdmissionPolicy MutatingAdmissionPolicyBinding "
    "MutatingWebhookConfiguration Namespace Node PersistentVolume PriorityClass "
    "PriorityLevelConfiguration ResourceSlice RuntimeClass ServiceCIDR StorageClass "
    "StorageVersionMigration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
    "ValidatingWebhookConfiguration VolumeAttachment VolumeAttributesClass"
)


def builtin(api_version: str) -> bool:
    """Whether Kubernetes itself defines the kinds of this version."""
    group = api_version.rpartition("/")[0]
    return not group or group in _GROUPS.split()


def cluster_wide(kind: str) -> bool:
    """Whether a built-in kind belongs to no namespace."""
    return kind in _CLUSTER_WIDE.split()


def of(token: str) -> tuple[str, str]:
    """`kubernetes:apps/v1:Deployment` as apiVersion and kind."""
    _, group_version, kind = token.split(":")
    return group_version.removeprefix("core/"), kind


_INSTEAD = {
    "helm": "render the chart with `helm template` and pass it to yaml/v2 ConfigGroup",
    "kustomize": "render it with `kubectl kustomize` and pass it to yaml/v2 ConfigGroup",
    "yaml": "use yaml/v2 ConfigFile or ConfigGroup",
}


def refuse(token: str) -> None:
    """Raises Refused for the types that are not plain objects."""
    api_version, kind = of(token)
    if api_version.startswith(("helm.sh/", "kustomize/")):
        raise refused(token)
    if not builtin(api_version):
        return
    if kind.endswith("Patch"):
        raise Refused(
            f"the lab's stand-in for kubernetes does not cover {token}: declare the object itself, "
            "with pulumi.com/patchForce where another manager holds a field"
        )
    if kind.endswith("List"):
        raise Refused(
            "list resources exist for compatibility with YAML manifests and Helm charts, and "
            "cannot be created directly. Use the underlying resource type instead"
        )


def refused(token: str) -> Refused:
    """The refusal of a type or function, with what to use instead."""
    what = token.split(":")[1]
    instead = [text for group, text in _INSTEAD.items() if what.startswith(group)]
    said = f"the lab's stand-in for kubernetes does not cover {token}"
    return Refused(": ".join([said, *instead]))
