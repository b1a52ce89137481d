"""A volume for data that must not be lost with the pod that wrote it."""

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels


def volume(
    name: str,
    *,
    namespace: pulumi.Input[str],
    size: str,
    keep: bool,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of a claim for `size`, of the cluster's default class.

    `keep` refuses its deletion and replacement, and leaves it behind even so.
    """
    claim = k8s.core.v1.PersistentVolumeClaim(
        name,
        metadata={"namespace": namespace, "labels": labels(name)},
        spec={"access_modes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(protect=keep, retain_on_delete=keep)
        ),
    )
    return claim.metadata["name"]
