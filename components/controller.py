"""The Deployment of a controller: one replica that talks to the API, never two at once."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s

from components import hardening
from components.labels import labels, selector
from components.pull_secret import pulls_with


def controller(
    name: str,
    *,
    namespace: pulumi.Input[str],
    version: str,
    account: pulumi.Input[str],
    container: k8s.core.v1.ContainerArgsDict,
    volumes: Sequence[k8s.core.v1.VolumeArgsDict],
    marks: Mapping[str, str] | None = None,
    pull_secret: pulumi.Input[str] | None = None,
    opts: pulumi.ResourceOptions,
) -> k8s.apps.v1.Deployment:
    """`container` with `volumes`, as `account`, whose token it has; labels `marks` beside ours."""
    described = {**labels(name, version=version), **(marks or {})}
    return k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": namespace, "labels": described},
        spec={
            "replicas": 1,
            "selector": {"match_labels": selector(name)},
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": described},
                "spec": {
                    **hardening.pod(account),
                    "automount_service_account_token": True,
                    "image_pull_secrets": pulls_with(pull_secret),
                    "containers": [container],
                    "volumes": list(volumes),
                },
            },
        },
        opts=opts,
    )
