"""A namespace that starts closed: restricted pods, no traffic, bounded resources."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels

# The version whose rules apply: a newer cluster must not refuse what passed here.
_SECURITY_VERSION = "v1.34"


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    name: str
    """A contract: other stacks' tools and people address it."""
    pods: int
    cpu: str
    memory: str
    """Sums over the namespace of what its pods request."""


class Namespace(pulumi.ComponentResource):
    """Whatever is put into it must be let out by a NetworkPolicy of its own."""

    name: pulumi.Output[str]

    def __init__(
        self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:cluster:Namespace", name, {"name": args.name}, opts)
        child = pulumi.ResourceOptions(parent=self)
        security = {
            f"pod-security.kubernetes.io/{mode}{suffix}": value
            for mode in ("enforce", "warn", "audit")
            for suffix, value in (("", "restricted"), ("-version", _SECURITY_VERSION))
        }
        namespace = k8s.core.v1.Namespace(
            name,
            metadata={"name": args.name, "labels": {**labels(args.name), **security}},
            opts=child,
        )
        self.name = namespace.metadata["name"]
        inside: k8s.meta.v1.ObjectMetaArgsDict = {
            "namespace": self.name,
            "labels": labels(args.name),
        }
        k8s.networking.v1.NetworkPolicy(
            f"{name}-deny",
            metadata=inside,
            spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
            opts=child,
        )
        k8s.networking.v1.NetworkPolicy(
            f"{name}-dns",
            metadata=inside,
            spec={
                "pod_selector": {},
                "policy_types": ["Egress"],
                "egress": [
                    {
                        "to": [
                            {
                                "namespace_selector": {
                                    "match_labels": {"kubernetes.io/metadata.name": "kube-system"}
                                },
                                "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}},
                            }
                        ],
                        "ports": [{"port": 53, "protocol": p} for p in ("UDP", "TCP")],
                    }
                ],
            },
            opts=child,
        )
        k8s.core.v1.LimitRange(
            name,
            metadata=inside,
            spec={
                "limits": [
                    {
                        "type": "Container",
                        "default_request": {"cpu": "25m", "memory": "64Mi"},
                        "default": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "256Mi"},
                    }
                ]
            },
            opts=child,
        )
        k8s.core.v1.ResourceQuota(
            name,
            metadata=inside,
            spec={
                "hard": {
                    "pods": str(args.pods),
                    "requests.cpu": args.cpu,
                    "requests.memory": args.memory,
                    "services.nodeports": "0",
                    "services.loadbalancers": "0",
                }
            },
            opts=child,
        )
        self.register_outputs({"name": self.name})
