"""How requests reach a workload: its Service, its Ingress, and who may connect at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels, selector

# Of its Service, and its own. It is no pod: where it is, no policy can say for every cluster.
API_SERVER: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict = {
    "ports": [{"port": 443}, {"port": 6443}]
}
"""The way out to the cluster's API server, for `egress`."""


@dataclass(frozen=True)
class Addresses:
    """Callers that are no pods of the cluster's, by where they come from."""

    cidrs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """What lets requests into the cluster, as a workload needs to know it."""

    class_name: str
    domain: str
    namespace: str | Addresses
    """Where requests come from: the namespace of its pods, or addresses where it has none."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """What its Ingresses say to it."""
    grpc_annotations: Mapping[str, str] = field(default_factory=dict)
    """What those of a gRPC say instead."""

    def host(self, name: str) -> str:
        return f"{name}.{self.domain}"


# An Ingress has no field for the protocol behind it, and Traefik reads no appProtocol there.
_GRPC = {"traefik.ingress.kubernetes.io/service.serversscheme": "h2c"}


def service(
    name: str,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    of: str | None = None,
    port: int = 80,
    port_name: str = "http",
    marks: Mapping[str, str] | None = None,
) -> k8s.core.v1.Service:
    """`port` of the name `name`, to the port `port_name` of the pods of `of` (itself `name`).

    `marks` are labels beside ours.
    """
    grpc = port_name == "grpc"
    return k8s.core.v1.Service(
        name,
        metadata={
            "name": name,
            "namespace": namespace,
            "labels": {**labels(name), **(marks or {})},
            "annotations": _GRPC if grpc else None,
        },
        spec={
            "type": "ClusterIP",
            "selector": selector(of or name),
            "ports": [
                {
                    "name": port_name,
                    "port": port,
                    "target_port": port_name,
                    "app_protocol": "kubernetes.io/h2c" if grpc else None,
                }
            ],
        },
        opts=opts,
    )


def release_service(
    name: str, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions, *, of: str
) -> k8s.core.v1.Service:
    """Both protocols of one release of the model `of`; which one, its controller says."""
    return k8s.core.v1.Service(
        name,
        metadata={"name": name, "namespace": namespace, "labels": labels(name)},
        spec={
            "type": "ClusterIP",
            "selector": selector(of),
            "ports": [
                {"name": "http", "port": 80, "target_port": "http"},
                {"name": "grpc", "port": 81, "target_port": "grpc"},
            ],
        },
        opts=opts,
    )


def traefik(
    kind: str,
    name: str,
    *,
    namespace: pulumi.Input[str],
    spec: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """An object of one of Traefik's own kinds, which an Ingress has no words for."""
    return k8s.apiextensions.CustomResource(
        f"{name}-{kind.lower()}",
        api_version="traefik.io/v1alpha1",
        kind=kind,
        metadata={
            "name": name,
            "namespace": namespace,
            "labels": labels(name),
            "annotations": annotations,
        },
        spec=spec,
        opts=opts,
    )


def ingress(
    name: str,
    *,
    namespace: pulumi.Input[str],
    gateway: Gateway,
    host: str,
    service: k8s.core.v1.Service,
    port_name: str = "http",
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.Ingress:
    """All paths of `host`, to the Service."""
    said = gateway.grpc_annotations if port_name == "grpc" else gateway.annotations
    return k8s.networking.v1.Ingress(
        name,
        metadata={
            "namespace": namespace,
            "labels": labels(name),
            "annotations": dict(said) or None,
        },
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
                                        "port": {"name": port_name},
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


def peers(
    caller: pulumi.Input[str] | Addresses,
) -> list[k8s.networking.v1.NetworkPolicyPeerArgsDict]:
    """A caller, as the ends of a connection that it has."""
    if isinstance(caller, Addresses):
        return [{"ip_block": {"cidr": cidr}} for cidr in caller.cidrs]
    return [pods_of(caller)]


def to(
    name: str, namespace: pulumi.Input[str], port: str = "http"
) -> k8s.networking.v1.NetworkPolicyEgressRuleArgsDict:
    """The way out to one port of the workload `name`, for `egress`."""
    pods: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
        **pods_of(namespace),
        "pod_selector": {"match_labels": selector(name)},
    }
    return {"to": [pods], "ports": [{"port": port}]}


def allow(
    name: str,
    *,
    namespace: pulumi.Input[str],
    callers: Sequence[pulumi.Input[str] | Addresses] = (),
    ports: Sequence[str] = ("http",),
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict] = (),
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.NetworkPolicy:
    """Let `callers`, pods of namespaces or addresses, reach `ports`, and open `egress`.

    The namespace itself denies everything else and opens DNS.
    """
    return k8s.networking.v1.NetworkPolicy(
        name,
        metadata={"namespace": namespace, "labels": labels(name)},
        spec={
            "pod_selector": {"match_labels": selector(name)},
            "policy_types": ["Ingress", "Egress"],
            # A rule without callers would let everybody in.
            "ingress": [
                {
                    "from_": [peer for caller in callers for peer in peers(caller)],
                    "ports": [{"port": port} for port in ports],
                }
            ]
            if callers
            else [],
            "egress": list(egress),
        },
        opts=opts,
    )


def admit(
    name: str, *, namespace: pulumi.Input[str], caller: str, opts: pulumi.ResourceOptions
) -> None:
    """Let the pods of the workload `caller`, beside it, reach `name` over HTTP as well."""
    beside: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
        "pod_selector": {"match_labels": selector(caller)}
    }
    _let_in(f"{name}-from-{caller}", name, namespace, beside, "http", opts)


def tell(
    name: str,
    *,
    namespace: pulumi.Input[str],
    to: pulumi.Input[str],
    port: str,
    opts: pulumi.ResourceOptions,
) -> None:
    """Let the pods of the namespace `to` reach one port more of `name`: where its metrics are."""
    _let_in(f"{name}-{port}", name, namespace, pods_of(to), port, opts)


def _let_in(
    policy: str,
    name: str,
    namespace: pulumi.Input[str],
    peer: k8s.networking.v1.NetworkPolicyPeerArgsDict,
    port: str,
    opts: pulumi.ResourceOptions,
) -> None:
    k8s.networking.v1.NetworkPolicy(
        policy,
        metadata={"namespace": namespace, "labels": labels(name)},
        spec={
            "pod_selector": {"match_labels": selector(name)},
            "policy_types": ["Ingress"],
            "ingress": [{"from_": [peer], "ports": [{"port": port}]}],
        },
        opts=opts,
    )


def once(
    value: pulumi.Input[str], *there: pulumi.CustomResource | pulumi.Output[str]
) -> pulumi.Output[str]:
    """`value`, known when all of them are there: an address is of no use before."""
    known = (each.id if isinstance(each, pulumi.CustomResource) else each for each in there)
    return pulumi.Output.all(value, *known).apply(lambda found: found[0])
