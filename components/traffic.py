"""How requests reach a workload: its Service, its Ingress, and who may connect at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels, selector


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The cluster's Ingress controller as a workload needs to know it."""

    class_name: str
    domain: str
    namespace: str

    def host(self, name: str) -> str:
        return f"{name}.{self.domain}"


def service(
    name: str, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> k8s.core.v1.Service:
    """Port 80 of the name `name`, to the pods' port called http."""
    return k8s.core.v1.Service(
        name,
        metadata={"name": name, "namespace": namespace, "labels": labels(name)},
        spec={
            "type": "ClusterIP",
            "selector": selector(name),
            "ports": [{"name": "http", "port": 80, "target_port": "http"}],
        },
        opts=opts,
    )


def ingress(
    name: str,
    *,
    namespace: pulumi.Input[str],
    gateway: Gateway,
    host: str,
    service: k8s.core.v1.Service,
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.Ingress:
    """All paths of `host`, to the Service."""
    return k8s.networking.v1.Ingress(
        name,
        metadata={"namespace": namespace, "labels": labels(name)},
        spec={
            "ingress_class_name": gateway.class_name,
            "rules": [
                {
                    "host": host,
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "path_type": "Prefix",
                                "backend": {
                                    "service": {
                                        "name": service.metadata["name"],
                                        "port": {"name": "http"},
                                    }
                                },
                            }
                        ]
                    },
                }
            ],
        },
        opts=opts,
    )


def pods_of(namespace: pulumi.Input[str]) -> k8s.networking.v1.NetworkPolicyPeerArgsDict:
    """All pods of a namespace, as one end of a connection."""
    return {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}}}


def allow(
    name: str,
    *,
    namespace: pulumi.Input[str],
    callers: Sequence[pulumi.Input[str]],
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict] = (),
    opts: pulumi.ResourceOptions,
) -> None:
    """Let the pods of the namespaces `callers` reach the port http, and open `egress`.

    The namespace itself denies everything else and opens DNS.
    """
    k8s.networking.v1.NetworkPolicy(
        name,
        metadata={"namespace": namespace, "labels": labels(name)},
        spec={
            "pod_selector": {"match_labels": selector(name)},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [
                {"from_": [pods_of(caller) for caller in callers], "ports": [{"port": "http"}]}
            ],
            "egress": list(egress),
        },
        opts=opts,
    )


def once(value: str, *resources: pulumi.CustomResource) -> pulumi.Output[str]:
    """`value`, known when all `resources` are there: an address is of no use before."""
    return pulumi.Output.all(*(each.id for each in resources)).apply(lambda _: value)
