"""What an account may do with Kubernetes itself, in one namespace."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels

LOOK = ("get", "list")
WATCH = (*LOOK, "watch")


def rule(
    group: str,
    resources: Sequence[str],
    verbs: Sequence[str],
    names: Sequence[pulumi.Input[str]] = (),
) -> k8s.rbac.v1.PolicyRuleArgsDict:
    """`verbs` on all `resources` of an API group, or on those with the `names` alone."""
    return {
        "api_groups": [group],
        "resources": list(resources),
        "verbs": list(verbs),
        "resource_names": list(names) or None,
    }


def grant(
    name: str,
    *,
    namespace: pulumi.Input[str],
    rules: Sequence[k8s.rbac.v1.PolicyRuleArgsDict],
    account: pulumi.Input[str],
    home: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """The `rules` in `namespace`, for an account of the namespace `home`."""
    inside: k8s.meta.v1.ObjectMetaArgsDict = {"namespace": namespace, "labels": labels(name)}
    role = k8s.rbac.v1.Role(name, metadata=inside, rules=list(rules), opts=opts)
    return k8s.rbac.v1.RoleBinding(
        name,
        metadata=inside,
        role_ref={
            "api_group": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": role.metadata["name"],
        },
        subjects=[{"kind": "ServiceAccount", "name": account, "namespace": home}],
        opts=opts,
    )
