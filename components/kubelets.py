"""The nodes' own metrics of a stack's volumes and containers, read from every kubelet."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.access import WATCH, rule
from components.labels import labels

KEY = "kubelets.yaml"
_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder
_PORT = 10250
# By job: where a kubelet tells it, and what is kept beside some hundred series more. Of containers
# it tells ten times as much at /metrics/cadvisor, but only where cAdvisor finds the runtime itself.
_JOBS = {
    "kubelet": (
        "/metrics",
        "kubelet_volume_stats_(available|capacity|used|inodes_free|inodes)(_bytes)?",
    ),
    "kubelet-resources": (
        "/metrics/resource",
        "container_(cpu_usage_seconds_total|memory_working_set_bytes)",
    ),
}

WAY: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict = {"ports": [{"port": _PORT}]}
"""The way to the kubelets, for `egress`: nodes are no pods, so no policy can say where."""


def scraping(
    name: str,
    *,
    namespace: pulumi.Input[str],
    of: Sequence[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of a Secret whose `KEY` is scrape configuration for a Prometheus in `namespace`.

    Of a node's samples those of the namespaces `of` are kept.
    """
    jobs = pulumi.Output.all(*of).apply(lambda namespaces: _jobs(sorted(namespaces)))
    secret = k8s.core.v1.Secret(
        name,
        metadata={"namespace": namespace, "labels": labels(name)},
        string_data={KEY: pulumi.Output.json_dumps(jobs)},
        opts=opts,
    )
    return secret.metadata["name"]


def right(
    name: str, *, account: pulumi.Input[str], home: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """To find the nodes and read their metrics: nodes are of the cluster, so the role is, too."""
    described: k8s.meta.v1.ObjectMetaArgsDict = {"labels": labels(name)}
    role = k8s.rbac.v1.ClusterRole(
        name,
        metadata=described,
        rules=[rule("", ["nodes"], WATCH), rule("", ["nodes/metrics"], ["get"])],
        opts=opts,
    )
    return k8s.rbac.v1.ClusterRoleBinding(
        name,
        metadata=described,
        role_ref={
            "api_group": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": role.metadata["name"],
        },
        subjects=[{"kind": "ServiceAccount", "name": account, "namespace": home}],
        opts=opts,
    )


def _jobs(namespaces: list[str]) -> list[dict[str, Any]]:
    return [_job(name, path, kept, namespaces) for name, (path, kept) in _JOBS.items()]


def _job(name: str, path: str, kept: str, namespaces: list[str]) -> dict[str, Any]:
    return {
        "job_name": name,
        "scheme": "https",
        "metrics_path": path,
        "scrape_interval": "30s",
        "tls_config": {"ca_file": f"{_TOKEN}/ca.crt"},
        "authorization": {"credentials_file": f"{_TOKEN}/token"},
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [
            {"source_labels": ["__meta_kubernetes_node_name"], "target_label": "node"}
        ],
        "metric_relabel_configs": [
            {"action": "keep", "source_labels": ["__name__"], "regex": kept},
            {"action": "keep", "source_labels": ["namespace"], "regex": "|".join(namespaces)},
        ],
    }
