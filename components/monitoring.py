"""What watches a stack: the Prometheus operator, one Prometheus, and whom it scrapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.access import WATCH, grant, rule
from components.labels import labels, selector
from components.prometheus_operator import GROUP, PrometheusOperator, PrometheusOperatorArgs
from components.traffic import Gateway

_IMAGE = "quay.io/prometheus/prometheus:v3.10.0"
_VERSION = _IMAGE.rpartition(":")[2]
_PORT = 9090
# A step of a canary takes minutes: a verdict needs many samples of each.
_INTERVAL = "5s"
# Argo Rollouts' mark on the pods of one release, by which a verdict tells them apart.
_RELEASE = "rollouts-pod-template-hash"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    namespace: pulumi.Input[str]
    models: pulumi.Input[str]
    """The namespace whose pods with the label `ferry.dev/model` are scraped."""
    gateway: Gateway
    callers: Sequence[pulumi.Input[str]]
    """Namespaces whose pods may ask, beside the gateway's."""
    retention: str
    """How long samples are kept, in Prometheus' words: `7d`."""
    size: int
    """Of the volume, in GiB; the oldest samples go before it is full."""


class Monitoring(pulumi.ComponentResource):
    """Scrapes every pod of every model; reads and changes nothing outside its two namespaces.

    Its name is `prometheus`: the operator labels the pods so whatever they are called.
    """

    url: pulumi.Output[str]
    internal_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:monitoring:Monitoring", name, {"retention": args.retention}, opts)
        child = pulumi.ResourceOptions(parent=self)
        operator = PrometheusOperator(
            "prometheus-operator",
            PrometheusOperatorArgs(namespace=args.namespace, watched=args.models),
            child,
        )
        host = args.gateway.host(name)
        # First whom to scrape: what comes later waits for the node to see the changed file.
        ready = [*operator.ready, self._models(args, operator)]
        prometheus = self._prometheus(name, args, host, ready)
        service = traffic.service(name, args.namespace, child, port=_PORT)
        ingress = traffic.ingress(
            name,
            namespace=args.namespace,
            gateway=args.gateway,
            host=host,
            service=service,
            opts=child,
        )
        self.url = traffic.once(f"http://{host}", prometheus, ingress)
        self.internal_url = pulumi.Output.format(
            "http://{0}.{1}:{2}", service.metadata["name"], args.namespace, _PORT
        )
        self.register_outputs({"url": self.url, "internalUrl": self.internal_url})

    def _prometheus(
        self, name: str, args: MonitoringArgs, host: str, ready: list[pulumi.Resource]
    ) -> k8s.apiextensions.CustomResource:
        child = pulumi.ResourceOptions(parent=self)
        account = hardening.service_account(name, args.namespace, child)
        way = traffic.allow(
            name,
            namespace=args.namespace,
            callers=[args.gateway.namespace, *args.callers],
            egress=[
                {"to": [traffic.pods_of(args.models)], "ports": [{"port": "http"}]},
                traffic.API_SERVER,
            ],
            opts=child,
        )
        discovery = grant(
            name,
            namespace=args.models,
            rules=[rule("", ["pods"], WATCH)],
            account=account,
            home=args.namespace,
            opts=child,
        )
        return k8s.apiextensions.CustomResource(
            name,
            api_version=f"{GROUP}/v1",
            kind="Prometheus",
            metadata={
                "name": name,
                "namespace": args.namespace,
                "labels": labels(name, version=_VERSION.removeprefix("v")),
                "annotations": {"pulumi.com/waitFor": "condition=Available"},
            },
            spec=_spec(name, args, host, account),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*ready, way, discovery]),
        )

    def _models(self, args: MonitoringArgs, operator: PrometheusOperator) -> pulumi.Resource:
        return k8s.apiextensions.CustomResource(
            "models",
            api_version=f"{GROUP}/v1",
            kind="PodMonitor",
            metadata={"name": "models", "namespace": args.models, "labels": labels("models")},
            spec={
                "selector": {
                    "matchExpressions": [{"key": "ferry.dev/model", "operator": "Exists"}]
                },
                "podTargetLabels": [_RELEASE],
                "podMetricsEndpoints": [
                    {"port": "http", "path": "/metrics", "interval": _INTERVAL}
                ],
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=operator.ready),
        )


def _spec(name: str, args: MonitoringArgs, host: str, account: pulumi.Input[str]) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "image": _IMAGE,
        "replicas": 1,
        "externalUrl": f"http://{host}",
        "portName": "http",
        "retention": args.retention,
        # A tenth is left for the log of what is not in a block yet.
        "retentionSize": f"{args.size * 9 // 10}GB",
        "podMonitorSelector": {},
        "podMonitorNamespaceSelector": {
            "matchLabels": {"kubernetes.io/metadata.name": args.models}
        },
        "podMetadata": {"labels": selector(name)},
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": hardening.UID,
            "runAsGroup": hardening.UID,
            "fsGroup": hardening.UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": hardening.resources(
            cpu="100m", memory="256Mi", cpu_limit="1", memory_limit="1Gi"
        ),
        "storage": {
            "volumeClaimTemplate": {
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": f"{args.size}Gi"}},
                }
            }
        },
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
    }
