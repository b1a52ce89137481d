"""The stack's namespaces: one for each role, and the most that each may ask for."""

import pulumi

from components.namespace import Namespace, NamespaceArgs

# Pods, and the sums of their requests for CPU and memory: a fence for mistakes, not a plan.
# That of monitoring has a pod on every node.
_ROLES = {
    "platform": (20, "8", "16Gi"),
    "monitoring": (200, "8", "16Gi"),
    "models": (200, "64", "128Gi"),
    "jobs": (50, "32", "128Gi"),
}


def namespaces(environment: str, opts: pulumi.ResourceOptions) -> dict[str, pulumi.Output[str]]:
    """The namespace of each role, named `<environment>-<role>`."""
    return {
        role: Namespace(
            role,
            NamespaceArgs(name=named(environment, role), pods=pods, cpu=cpu, memory=memory),
            opts,
        ).name
        for role, (pods, cpu, memory) in _ROLES.items()
    }


def named(environment: str, role: str) -> str:
    return f"{environment}-{role}"
