"""What the cluster says of a stack's pods, jobs and volumes, as metrics."""

from collections.abc import Mapping

import pulumi

from components import exporter, hardening, traffic
from components.access import grant, rule
from components.controller import controller

_IMAGE = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"
_VERSION = _IMAGE.rpartition(":v")[2]
NAME = "kube-state-metrics"
_PORT = 8080
# What somebody is told of when it goes wrong, or a screen shows; no Secret is among it.
_KINDS = {
    "": ["persistentvolumeclaims", "pods"],
    "apps": ["daemonsets", "deployments", "statefulsets"],
    "autoscaling": ["horizontalpodautoscalers"],
    "batch": ["cronjobs", "jobs"],
}


class KubeStateMetrics(pulumi.ComponentResource):
    """Lists and watches these kinds in the stack's namespaces, and nothing elsewhere."""

    def __init__(
        self,
        namespace: pulumi.Input[str],
        watched: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ferry:monitoring:KubeStateMetrics", NAME, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = hardening.service_account(NAME, namespace, child)
        grants = [
            grant(
                f"{NAME}-{role}",
                namespace=each,
                rules=[rule(group, kinds, ["list", "watch"]) for group, kinds in _KINDS.items()],
                account=account,
                home=namespace,
                opts=child,
            )
            for role, each in watched.items()
        ]
        exporter.closed(NAME, namespace, child, egress=[traffic.API_SERVER])
        names = pulumi.Output.all(*watched.values()).apply(lambda found: ",".join(sorted(found)))
        kinds = ",".join(sorted(kind for group in _KINDS.values() for kind in group))
        controller(
            NAME,
            namespace=namespace,
            version=_VERSION,
            account=account,
            container=exporter.container(
                _IMAGE,
                args=[
                    f"--port={_PORT}",
                    f"--resources={kinds}",
                    pulumi.Output.format("--namespaces={0}", names),
                ],
                port=_PORT,
                alive="/healthz",
                ready="/livez",
                memory="96Mi",
            ),
            volumes=[hardening.scratch("16Mi")],
            opts=pulumi.ResourceOptions(parent=self, depends_on=grants),
        )
        self.register_outputs({})
