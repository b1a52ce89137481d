"""Whom a Prometheus scrapes, as objects of its operator's: pods by their labels, and probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import traffic
from components.labels import labels

GROUP = "monitoring.coreos.com"
_NODE = {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}


@dataclass(frozen=True, kw_only=True)
class Scraped:
    """The pods of a namespace that `chosen`, a label selector, finds; each tells at `port`."""

    namespace: pulumi.Input[str]
    chosen: Mapping[str, Any]
    port: str = "http"
    job: str | None = None
    """The label of that name on their samples; None: the name of their workload."""
    interval: str | None = None
    """None: the Prometheus' own."""
    marks: Sequence[str] = field(default_factory=tuple)
    """Labels of the pods that their samples carry, too."""
    speaks_for_others: bool = False
    """Its samples name the namespace and pod that they are of, which are not its own."""


def having(label: str) -> dict[str, Any]:
    """The selector of pods with a label, whatever its value."""
    return {"matchExpressions": [{"key": label, "operator": "Exists"}]}


def called(*names: str) -> dict[str, Any]:
    """The selector of the pods of some workloads of ours."""
    among = {"key": "app.kubernetes.io/name", "operator": "In", "values": list(names)}
    return {
        "matchLabels": {"app.kubernetes.io/part-of": "ferry"},
        "matchExpressions": [among],
    }


def pod_monitor(
    name: str,
    scraped: Scraped,
    *,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """It stands in `namespace`, beside the Prometheus, which takes none from elsewhere."""
    named = [{"targetLabel": "job", "replacement": scraped.job}] if scraped.job else []
    endpoint: dict[str, Any] = {
        "port": scraped.port,
        "path": "/metrics",
        "relabelings": [_NODE, *named],
    }
    if scraped.interval:
        endpoint["interval"] = scraped.interval
    if scraped.speaks_for_others:
        endpoint["honorLabels"] = True
    return k8s.apiextensions.CustomResource(
        name,
        api_version=f"{GROUP}/v1",
        kind="PodMonitor",
        metadata={"name": name, "namespace": namespace, "labels": labels(name)},
        spec={
            "namespaceSelector": {"matchNames": [scraped.namespace]},
            "selector": scraped.chosen,
            "jobLabel": "app.kubernetes.io/name",
            "podTargetLabels": list(scraped.marks),
            "podMetricsEndpoints": [endpoint],
        },
        opts=opts,
    )


def way(scraped: Scraped) -> k8s.networking.v1.NetworkPolicyEgressRuleArgsDict:
    """The way there, for a Prometheus' `egress`."""
    return {"to": [traffic.pods_of(scraped.namespace)], "ports": [{"port": scraped.port}]}


def probe(
    name: str,
    urls: Sequence[pulumi.Input[str]],
    *,
    namespace: pulumi.Input[str],
    prober: str,
    module: str,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Has `prober`, a Service, ask for each of `urls` as `module` says.

    Samples have the labels `job`, the name, and `instance`, the address.
    """
    return k8s.apiextensions.CustomResource(
        f"probe-{name}",
        api_version=f"{GROUP}/v1",
        kind="Probe",
        metadata={"name": name, "namespace": namespace, "labels": labels(f"probe-{name}")},
        spec={
            "jobName": name,
            "prober": {"url": pulumi.Output.format("{0}.{1}.svc:80", prober, namespace)},
            "module": module,
            "interval": "15s",
            "targets": {"staticConfig": {"static": list(urls)}},
        },
        opts=opts,
    )
