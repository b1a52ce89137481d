"""Nodes with GPUs, made when a pod asks for one and gone when none does."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels

DEVICE = "nvidia.com/gpu"


@dataclass(frozen=True, kw_only=True)
class GpuPoolArgs:
    most: int
    """GPUs, over all nodes at once."""


class GpuPool(pulumi.ComponentResource):
    """Tainted, so that what needs no GPU stays away."""

    def __init__(
        self, name: str, args: GpuPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:GpuPool", name, {"most": args.most}, opts)
        wanted = {
            "karpenter.sh/capacity-type": ["on-demand"],
            "kubernetes.io/arch": ["amd64"],
            "eks.amazonaws.com/instance-category": ["g"],
            "eks.amazonaws.com/instance-gpu-manufacturer": ["nvidia"],
        }
        node_class = {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"}
        k8s.apiextensions.CustomResource(
            name,
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata={"name": name, "labels": labels(name)},
            spec={
                "template": {
                    "spec": {
                        "nodeClassRef": node_class,
                        "requirements": [
                            {"key": key, "operator": "In", "values": values}
                            for key, values in wanted.items()
                        ],
                        "taints": [{"key": DEVICE, "effect": "NoSchedule"}],
                        "expireAfter": "336h",
                    }
                },
                "disruption": {
                    "consolidationPolicy": "WhenEmptyOrUnderutilized",
                    "consolidateAfter": "5m",
                },
                "limits": {DEVICE: str(args.most)},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
