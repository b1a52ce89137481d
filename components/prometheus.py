"""The Prometheus of a stack, by its operator: its rights, its ways, its volume, its address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import alertmanager, hardening, kubelets, scraping, traffic
from components.access import WATCH, grant, rule
from components.exporter import PROMETHEUS as NAME
from components.labels import labels, selector
from components.scraping import GROUP, Scraped
from components.traffic import Gateway

_IMAGE = "quay.io/prometheus/prometheus:v3.10.0"
_VERSION = _IMAGE.rpartition(":")[2]
_PORT = 9090
_INTERVAL = "15s"


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs:
    namespaces: Mapping[str, pulumi.Input[str]]
    """By role; it lives in that of monitoring, and finds pods in all of them."""
    environment: str
    gateway: Gateway
    callers: Sequence[pulumi.Input[str]]
    retention: str
    size: int
    scraped: Sequence[Scraped]


class Prometheus(pulumi.ComponentResource):
    """One replica; it changes nothing anywhere.

    The operator labels the pods `prometheus`, whatever they are called, so that is its name.
    """

    url: pulumi.Output[str]
    internal_url: pulumi.Output[str]

    def __init__(
        self,
        args: PrometheusArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        ready: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("ferry:monitoring:Prometheus", NAME, {"retention": args.retention}, opts)
        child = pulumi.ResourceOptions(parent=self)
        here = args.namespaces["monitoring"]
        host = args.gateway.host(NAME)
        account = hardening.service_account(NAME, here, child)
        rights = [
            *self._discovery(args.namespaces, account),
            kubelets.right(f"{NAME}-kubelets", account=account, home=here, opts=child),
        ]
        way = traffic.allow(
            NAME,
            namespace=here,
            callers=[args.gateway.namespace, *args.callers],
            egress=[
                *(scraping.way(each) for each in args.scraped),
                traffic.to(alertmanager.NAME, here),
                kubelets.WAY,
                traffic.API_SERVER,
            ],
            opts=child,
        )
        nodes = kubelets.scraping(
            f"{NAME}-kubelets", namespace=here, of=list(args.namespaces.values()), opts=child
        )
        made = k8s.apiextensions.CustomResource(
            NAME,
            api_version=f"{GROUP}/v1",
            kind="Prometheus",
            metadata={
                "name": NAME,
                "namespace": here,
                "labels": labels(NAME, version=_VERSION.removeprefix("v")),
                "annotations": {"pulumi.com/waitFor": "condition=Available"},
            },
            spec=_spec(args, host, account, nodes),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*ready, *rights, way]),
        )
        service = traffic.service(NAME, here, child, port=_PORT)
        ingress = traffic.ingress(
            NAME, namespace=here, gateway=args.gateway, host=host, service=service, opts=child
        )
        self.url = traffic.once(f"http://{host}", made, ingress)
        self.internal_url = pulumi.Output.format(
            "http://{0}.{1}:{2}", service.metadata["name"], here, _PORT
        )
        self.register_outputs({"url": self.url, "internalUrl": self.internal_url})

    def _discovery(
        self, namespaces: Mapping[str, pulumi.Input[str]], account: pulumi.Input[str]
    ) -> list[pulumi.Resource]:
        pods = rule("", ["pods"], WATCH)
        # By its Service it finds its Alertmanager.
        own = [rule("", ["services"], WATCH), rule("discovery.k8s.io", ["endpointslices"], WATCH)]
        return [
            grant(
                f"{NAME}-{role}",
                namespace=namespace,
                rules=[pods, *own] if role == "monitoring" else [pods],
                account=account,
                home=namespaces["monitoring"],
                opts=pulumi.ResourceOptions(parent=self),
            )
            for role, namespace in namespaces.items()
        ]


def _spec(
    args: PrometheusArgs, host: str, account: pulumi.Input[str], nodes: pulumi.Input[str]
) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "image": _IMAGE,
        "replicas": 1,
        "externalUrl": f"http://{host}",
        "portName": "http",
        "retention": args.retention,
        # A tenth is left for the log of what is not in a block yet.
        "retentionSize": f"{args.size * 9 // 10}GB",
        "scrapeInterval": _INTERVAL,
        "evaluationInterval": _INTERVAL,
        # All of them that are beside it.
        "podMonitorSelector": {},
        "probeSelector": {},
        "ruleSelector": {},
        "additionalScrapeConfigs": {"name": nodes, "key": kubelets.KEY},
        "serviceDiscoveryRole": "EndpointSlice",
        "alerting": {
            "alertmanagers": [
                {
                    "namespace": args.namespaces["monitoring"],
                    "name": alertmanager.NAME,
                    "port": "http",
                    "apiVersion": "v2",
                }
            ]
        },
        "externalLabels": {"environment": args.environment},
        # Which of several told it would be news to nobody: there is one.
        "prometheusExternalLabelName": "",
        "replicaExternalLabelName": "",
        "podMetadata": {"labels": selector(NAME)},
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "securityContext": hardening.OPERATED,
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
