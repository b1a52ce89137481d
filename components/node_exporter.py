"""What the nodes are busy with and how full they are, told by a pod that has nothing of theirs."""

import pulumi
import pulumi_kubernetes as k8s

from components import exporter, hardening
from components.labels import labels, selector

_IMAGE = "quay.io/prometheus/node-exporter:v1.9.1"
_VERSION = _IMAGE.rpartition(":v")[2]
NAME = "node-exporter"
_PORT = 9100
# Of these the kernel shows every container the whole node's.
_COLLECTORS = ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "pressure", "stat", "vmstat")


class NodeExporter(pulumi.ComponentResource):
    """One pod a node, without the node's network, processes or files.

    A container's root lies on the disk of images and containers, and a scratch volume on the
    kubelet's: the figures of these two mount points, `/` and `/tmp`, are those of the disks, and
    they are the two by which a kubelet decides whom to evict. Other disks it can't see.
    """

    def __init__(
        self, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:monitoring:NodeExporter", NAME, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        exporter.closed(NAME, namespace, child)
        container = exporter.container(
            _IMAGE,
            args=[
                "--collector.disable-defaults",
                *(f"--collector.{each}" for each in _COLLECTORS),
                "--collector.filesystem.mount-points-include=^/(tmp)?$",
                # By default an overlay, which a container's root is, is left out.
                "--collector.filesystem.fs-types-exclude=^(tmpfs|ramfs)$",
            ],
            port=_PORT,
            memory="48Mi",
        )
        k8s.apps.v1.DaemonSet(
            NAME,
            metadata={
                "name": NAME,
                "namespace": namespace,
                "labels": labels(NAME, version=_VERSION),
            },
            spec={
                "selector": {"match_labels": selector(NAME)},
                "template": exporter.template(
                    NAME,
                    _VERSION,
                    account=hardening.service_account(NAME, namespace, child),
                    container=container,
                ),
            },
            opts=child,
        )
        self.register_outputs({})
