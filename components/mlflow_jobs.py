"""The Jobs of MLflow's image that an update runs to their end: those before the server."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.labels import labels, selector
from components.mlflow_container import process
from components.mlflow_database import LOGINS, REGISTRY, SETUP, USER, Databases, Postgres, Volume
from components.mlflow_image import VERSION

_PROGRAM = "/opt/mlflow/databases.py"


def tables(
    server: str,
    kept: Volume | Postgres,
    databases: Databases,
    *,
    namespace: pulumi.Input[str],
    image: pulumi.Output[str],
    pod: dict[str, Any],
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """Makes what the server of this name needs, or upgrades it; `pod` is as the server's."""
    name = f"{server}-upgrade"
    container: k8s.core.v1.ContainerArgsDict = {
        **process(image, volume=databases.claim is not None),
        "name": "upgrade",
        "args": ["db", "upgrade", databases.registry],
    }
    if isinstance(kept, Postgres):
        traffic.allow(name, namespace=namespace, egress=kept.ways, opts=opts)
        pull = pod["image_pull_secrets"]
        first = _set_up(server, kept, namespace=namespace, image=image, pull=pull, opts=opts)
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[first]))
    else:
        # The volume is the running server's too, and goes to one node at a time.
        pod = {**pod, "affinity": {"pod_affinity": _rather_beside(server)}}
    return job(name, server, namespace, mark(image), pod, container, opts)


def beside(name: str) -> k8s.core.v1.PodAffinityTermArgsDict:
    """The node of the pods of that name, which a volume of one node is on."""
    return {
        "topology_key": "kubernetes.io/hostname",
        "label_selector": {"match_labels": selector(name)},
    }


def _rather_beside(name: str) -> k8s.core.v1.PodAffinityArgsDict:
    return {
        "preferred_during_scheduling_ignored_during_execution": [
            {"weight": 100, "pod_affinity_term": beside(name)}
        ]
    }


def _set_up(
    server: str,
    postgres: Postgres,
    *,
    namespace: pulumi.Input[str],
    image: pulumi.Output[str],
    pull: list[k8s.core.v1.LocalObjectReferenceArgsDict] | None,
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """As the database's master, whose login this Job alone may read."""
    told: dict[str, pulumi.Input[str]] = {
        "DATABASE_HOST": postgres.host,
        "DATABASE_REGION": postgres.region,
        "DATABASE_MASTER": postgres.master,
        "DATABASE_USER": USER,
        "DATABASE_NAMES": f"{REGISTRY} {LOGINS}",
    }
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": key, "value": value} for key, value in told.items()
    ]
    common = process(image, volume=False)
    container: k8s.core.v1.ContainerArgsDict = {
        **common,
        "name": "setup",
        "command": ["python", _PROGRAM],
        "env": [*common["env"], *environment],
    }
    account = hardening.service_account(SETUP, namespace, opts, fixed=True)
    traffic.allow(SETUP, namespace=namespace, egress=postgres.setup_ways, opts=opts)
    pod = {
        **hardening.pod(account),
        "image_pull_secrets": pull,
        "volumes": [hardening.scratch("64Mi"), hardening.scratch("64Mi", "home")],
    }
    return job(SETUP, server, namespace, mark(image), pod, container, opts)


def mark(digest: pulumi.Output[str]) -> pulumi.Output[str]:
    """By which the Job for one digest has another name than that for the next."""
    return digest.apply(lambda known: known[-64:][:12])


def job(
    name: str,
    server: str,
    namespace: pulumi.Input[str],
    told: pulumi.Output[str],
    pod: dict[str, Any],
    container: k8s.core.v1.ContainerArgsDict,
    opts: pulumi.ResourceOptions,
) -> k8s.batch.v1.Job:
    """One for each `told`, and the update waits until it is complete."""
    return k8s.batch.v1.Job(
        name,
        metadata={
            "name": pulumi.Output.format("{0}-{1}", name, told),
            "namespace": namespace,
            "labels": labels(server, version=VERSION),
            # One that failed stays failed: the next update makes another.
            "annotations": {"pulumi.com/replaceUnready": "true"},
        },
        spec={
            "backoff_limit": 3,
            "active_deadline_seconds": 600,
            "template": {
                # Not the server's selector: its Service must not send requests here.
                "metadata": {"labels": labels(name, version=VERSION)},
                "spec": {**pod, "restart_policy": "Never", "containers": [container]},
            },
        },
        opts=opts,
    )
