"""What watches a stack: whom a Prometheus scrapes, by which rules it judges, whom it tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import alertmanager, blackbox_exporter, kube_state_metrics, node_exporter, scraping
from components.alertmanager import Alertmanager, AlertmanagerArgs
from components.blackbox_exporter import BlackboxExporter, BlackboxExporterArgs
from components.exporter import PROMETHEUS
from components.grafana import Grafana, GrafanaArgs
from components.kube_state_metrics import KubeStateMetrics
from components.labels import labels
from components.node_exporter import NodeExporter
from components.prometheus import Prometheus, PrometheusArgs
from components.prometheus_operator import NAME as OPERATOR
from components.prometheus_operator import PrometheusOperator
from components.scraping import GROUP, Scraped, called, having
from components.traffic import Gateway

# A step of a canary takes minutes: a verdict needs many samples of each.
_OF_MODELS = "5s"
# Argo Rollouts' mark on the pods of one release, by which a verdict tells them apart.
_RELEASE = "rollouts-pod-template-hash"


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    namespaces: Mapping[str, pulumi.Input[str]]
    """By role: monitoring, where all of this lives, models, jobs, platform."""
    environment: str
    """What every alert is labelled with."""
    gateway: Gateway
    callers: Sequence[pulumi.Input[str]]
    """Namespaces whose pods may ask Prometheus, beside the gateway's."""
    retention: str
    """How long samples are kept, in Prometheus' words: `7d`."""
    size: int
    """Of the volume, in GiB; the oldest samples go before it is full."""
    routes: Mapping[str, Any]
    """Alertmanager's configuration."""
    secrets: Sequence[str] = ()
    """Secrets that it reads as files."""
    outside: Sequence[int] = ()
    """Ports beyond the stack where its receivers are."""
    ports: Mapping[str, str] = field(default_factory=dict)
    """By workload of the platform's namespace, the name of the port of its metrics."""
    addresses: Mapping[str, Sequence[pulumi.Input[str]]] = field(default_factory=dict)
    """By job, what has to answer 200."""
    rules: Sequence[Mapping[str, Any]] = ()
    """Groups of rules, as Prometheus documents them."""
    screens: Mapping[str, str] = field(default_factory=dict)
    """Grafana's, JSON by file name; where there are none, there is no Grafana."""


class Monitoring(pulumi.ComponentResource):
    """Reads all that is the stack's, and nothing beyond its namespaces but the nodes' metrics."""

    url: pulumi.Output[str]
    internal_url: pulumi.Output[str]
    alertmanager_url: pulumi.Output[str]
    grafana: Grafana | None

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:monitoring:Monitoring", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        here = args.namespaces["monitoring"]
        operator = PrometheusOperator(here, child)
        NodeExporter(here, child)
        KubeStateMetrics(here, args.namespaces, child)
        BlackboxExporter(
            BlackboxExporterArgs(
                namespace=here,
                platform=args.namespaces["platform"],
                gateway=args.gateway,
                addresses=args.addresses,
            ),
            child,
            ready=operator.ready,
        )
        tells = Alertmanager(
            AlertmanagerArgs(
                namespace=here,
                gateway=args.gateway,
                configuration=args.routes,
                secrets=args.secrets,
                ports=args.outside,
            ),
            child,
            ready=operator.ready,
        )
        scraped = _scraped(args)
        # Whom to scrape and how to judge is there before Prometheus: what comes later waits for
        # the node to see the changed files.
        first = [*operator.ready, *self._objects(here, scraped, args.rules, operator.ready)]
        prometheus = Prometheus(
            PrometheusArgs(
                namespaces=args.namespaces,
                environment=args.environment,
                gateway=args.gateway,
                callers=[*args.callers, *([here] if args.screens else [])],
                retention=args.retention,
                size=args.size,
                scraped=list(scraped.values()),
            ),
            child,
            ready=first,
        )
        self.url, self.internal_url = prometheus.url, prometheus.internal_url
        self.alertmanager_url = tells.url
        self.grafana = None
        if args.screens:
            self.grafana = Grafana(
                "grafana",
                GrafanaArgs(
                    namespace=here,
                    gateway=args.gateway,
                    prometheus_url=prometheus.internal_url,
                    dashboards=args.screens,
                ),
                child,
            )
        self.register_outputs({"url": self.url, "alertmanagerUrl": self.alertmanager_url})

    def _objects(
        self,
        here: pulumi.Input[str],
        scraped: Mapping[str, Scraped],
        rules: Sequence[Mapping[str, Any]],
        ready: Sequence[pulumi.Resource],
    ) -> list[pulumi.Resource]:
        opts = pulumi.ResourceOptions(parent=self, depends_on=[*ready])
        monitors = [
            scraping.pod_monitor(name, each, namespace=here, opts=opts)
            for name, each in scraped.items()
        ]
        if not rules:
            return monitors
        made = k8s.apiextensions.CustomResource(
            "rules",
            api_version=f"{GROUP}/v1",
            kind="PrometheusRule",
            metadata={"name": "rules", "namespace": here, "labels": labels("rules")},
            spec={"groups": [dict(each) for each in rules]},
            opts=opts,
        )
        return [*monitors, made]


def of_models(namespace: pulumi.Input[str]) -> Scraped:
    """The pods of every model there; a sample tells which release it comes from."""
    return Scraped(
        namespace=namespace,
        chosen=having("ferry.dev/model"),
        job="models",
        interval=_OF_MODELS,
        marks=[_RELEASE],
    )


def _scraped(args: MonitoringArgs) -> dict[str, Scraped]:
    here, platform = args.namespaces["monitoring"], args.namespaces["platform"]
    own = (
        alertmanager.NAME,
        blackbox_exporter.NAME,
        node_exporter.NAME,
        OPERATOR,
        PROMETHEUS,
    )
    return {
        "models": of_models(args.namespaces["models"]),
        "watches": Scraped(
            namespace=args.namespaces["jobs"], chosen=having("ferry.dev/watch"), job="watch"
        ),
        "monitoring": Scraped(namespace=here, chosen=called(*own)),
        kube_state_metrics.NAME: Scraped(
            namespace=here, chosen=called(kube_state_metrics.NAME), speaks_for_others=True
        ),
        **{
            name: Scraped(
                namespace=platform, chosen=called(name), port=port, speaks_for_others=True
            )
            for name, port in args.ports.items()
        },
    }
