"""What a cluster of EKS' needs inside before it is one like any other."""

from ipaddress import ip_network

import pulumi
import pulumi_kubernetes as k8s

from components import traffic
from components.gpu_pool import GpuPool, GpuPoolArgs
from components.labels import labels
from infra.account import AwsFoundation
from infra.namespaces import namespaces
from infra.settings import Settings

SERVICES = "172.20.0.0/16"
"""Addresses of the cluster's Services."""


def inside_the_cluster(
    wanted: Settings,
    settings: AwsFoundation,
    volumes_key: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> dict[str, pulumi.Output[str]]:
    """The stack's namespaces by role, known when volumes, Ingresses and policies work in them."""
    platform = wanted.platform
    ready: list[pulumi.CustomResource] = [
        _network_policies(opts),
        _volumes(volumes_key, keep=platform.data.keep, opts=opts),
        _balancers(platform.ingress.class_name, settings, opts),
    ]
    gpus = sum(model.resources.gpu * model.scaling.maximum for model in platform.models.values())
    if gpus:
        # A model that is replaced has both releases at once.
        GpuPool("gpu", GpuPoolArgs(most=2 * gpus), opts)
    roles = namespaces(platform.environment, opts)
    for role, name in roles.items():
        _names(role, name, opts)
    return {role: traffic.once(name, *ready) for role, name in roles.items()}


def _network_policies(opts: pulumi.ResourceOptions) -> k8s.core.v1.ConfigMap:
    """Switches on what enforces them, which EKS has and does not use by itself."""
    name = "amazon-vpc-cni"
    return k8s.core.v1.ConfigMap(
        name,
        metadata={"name": name, "namespace": "kube-system", "labels": labels(name)},
        data={"enable-network-policy-controller": "true"},
        opts=opts,
    )


def _names(role: str, namespace: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
    """Opens the way to the nodes' own DNS: in Auto Mode no pod answers, which a policy could name.

    By convention it has the tenth address of the Services.
    """
    dns = f"{ip_network(SERVICES)[10]}/32"
    way: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict = {
        "to": [{"ip_block": {"cidr": dns}}],
        "ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")],
    }
    k8s.networking.v1.NetworkPolicy(
        f"{role}-names",
        metadata={"namespace": namespace, "labels": labels(f"{role}-names")},
        spec={
            "pod_selector": {},
            "policy_types": ["Egress"],
            "egress": [way],
        },
        opts=opts,
    )


def _volumes(
    key: pulumi.Output[str], *, keep: bool, opts: pulumi.ResourceOptions
) -> k8s.storage.v1.StorageClass:
    """The class of volumes that name none: a cluster in Auto Mode begins with no such."""
    name = "encrypted"
    return k8s.storage.v1.StorageClass(
        name,
        metadata={
            "name": name,
            "labels": labels(name),
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        provisioner="ebs.csi.eks.amazonaws.com",
        parameters={"type": "gp3", "encrypted": "true", "kmsKeyId": key},
        volume_binding_mode="WaitForFirstConsumer",
        reclaim_policy="Retain" if keep else "Delete",
        allow_volume_expansion=True,
        opts=opts,
    )


def _balancers(
    name: str, settings: AwsFoundation, opts: pulumi.ResourceOptions
) -> k8s.networking.v1.IngressClass:
    """One load balancer for all Ingresses, inside the network."""
    kind = {"apiGroup": "eks.amazonaws.com", "kind": "IngressClassParams"}
    parameters = k8s.apiextensions.CustomResource(
        f"{name}-parameters",
        api_version="eks.amazonaws.com/v1",
        kind="IngressClassParams",
        metadata={"name": name, "labels": labels(name)},
        spec={
            "scheme": "internal",
            "group": {"name": "ferry"},
            "certificateARNs": [settings.certificate],
        },
        opts=opts,
    )
    return k8s.networking.v1.IngressClass(
        name,
        metadata={"name": name, "labels": labels(name)},
        spec={
            "controller": "eks.amazonaws.com/alb",
            "parameters": {
                "api_group": kind["apiGroup"],
                "kind": kind["kind"],
                "name": parameters.metadata["name"],  # ty: ignore[missing-attribute]
            },
        },
        opts=opts,
    )
