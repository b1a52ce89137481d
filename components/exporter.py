"""What an exporter's pod looks like: one small process that only Prometheus may ask."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.labels import labels, selector

PROMETHEUS = "prometheus"
"""The workload beside every exporter that may ask it."""


def container(
    image: str,
    *,
    args: Sequence[pulumi.Input[str]],
    port: int,
    alive: str = "/",
    ready: str = "/",
    memory: str,
    mounts: Sequence[k8s.core.v1.VolumeMountArgsDict] = (),
) -> k8s.core.v1.ContainerArgsDict:
    """`alive` and `ready` are the paths that say so, at `port`; `memory` is its limit, too."""
    return {
        "name": "exporter",
        "image": image,
        "args": list(args),
        "ports": [{"name": "http", "container_port": port}],
        "security_context": hardening.CONTAINER,
        "resources": hardening.resources(
            cpu="10m", memory=memory, cpu_limit="250m", memory_limit=memory
        ),
        "startup_probe": {
            "http_get": {"path": alive, "port": "http"},
            "period_seconds": 1,
            "failure_threshold": 60,
        },
        "readiness_probe": {"http_get": {"path": ready, "port": "http"}, "period_seconds": 5},
        "liveness_probe": {
            "http_get": {"path": alive, "port": "http"},
            "period_seconds": 20,
            "failure_threshold": 4,
        },
        "termination_message_policy": "FallbackToLogsOnError",
        "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}, *mounts],  # noqa: S108
    }


def template(
    name: str,
    version: str,
    *,
    account: pulumi.Input[str],
    container: k8s.core.v1.ContainerArgsDict,
    volumes: Sequence[k8s.core.v1.VolumeArgsDict] = (),
) -> k8s.core.v1.PodTemplateSpecArgsDict:
    """The pods, which call no API."""
    return {
        "metadata": {"labels": labels(name, version=version)},
        "spec": {
            **hardening.pod(account),
            "containers": [container],
            "volumes": [hardening.scratch("16Mi"), *volumes],
        },
    }


def deployment(
    name: str,
    version: str,
    *,
    namespace: pulumi.Input[str],
    template: k8s.core.v1.PodTemplateSpecArgsDict,
    opts: pulumi.ResourceOptions,
) -> k8s.apps.v1.Deployment:
    """One replica."""
    return k8s.apps.v1.Deployment(
        name,
        metadata={
            "name": name,
            "namespace": namespace,
            "labels": labels(name, version=version),
        },
        spec={
            "replicas": 1,
            "selector": {"match_labels": selector(name)},
            "template": template,
        },
        opts=opts,
    )


def closed(
    name: str,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict] = (),
) -> None:
    """Nobody but Prometheus comes in, and nothing but `egress` goes out."""
    traffic.allow(name, namespace=namespace, egress=egress, opts=opts)
    traffic.admit(name, namespace=namespace, caller=PROMETHEUS, opts=opts)
