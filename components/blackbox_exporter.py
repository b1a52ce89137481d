"""Asks, as a client would, whether an address answers: for what tells no metrics of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import exporter, hardening, traffic
from components.labels import labels
from components.scraping import probe
from components.traffic import Gateway

_IMAGE = "quay.io/prometheus/blackbox-exporter:v0.27.0"
_VERSION = _IMAGE.rpartition(":v")[2]
NAME = "blackbox-exporter"
_PORT = 9115
_CONFIG = "/etc/blackbox_exporter"
_AUTHORITY = "/etc/cluster"
_API_SERVER = "https://kubernetes.default.svc/livez"


def _http(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - a module's settings
    settings = {"preferred_ip_protocol": "ip4", "follow_redirects": False, **more}
    return {"prober": "http", "timeout": "5s", "http": settings}


_MODULES = {
    "http": _http(),
    # Without a name one may be refused: its certificate is what is asked for.
    "cluster": _http(
        valid_status_codes=[200, 401, 403],
        fail_if_not_ssl=True,
        tls_config={"ca_file": f"{_AUTHORITY}/ca.crt"},
    ),
}


@dataclass(frozen=True, kw_only=True)
class BlackboxExporterArgs:
    namespace: pulumi.Input[str]
    platform: pulumi.Input[str]
    """Where the pods are that it asks directly."""
    gateway: Gateway
    """Through which it asks all others."""
    addresses: Mapping[str, Sequence[pulumi.Input[str]]]
    """By job, what has to answer 200."""


class BlackboxExporter(pulumi.ComponentResource):
    """Probes the addresses and the API server; with what it may be asked for, Prometheus alone."""

    def __init__(
        self,
        args: BlackboxExporterArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        ready: list[pulumi.Resource],
    ) -> None:
        super().__init__("ferry:monitoring:BlackboxExporter", NAME, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        traffic.service(NAME, args.namespace, child)
        ways: list[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict] = [
            {"to": [traffic.pods_of(args.platform)], "ports": [{"port": "http"}]},
            # The stack's hosts are the Ingress controller's pods, or a balancer before them.
            {"to": traffic.peers(args.gateway.namespace)},
            {"ports": [{"port": 80}, {"port": 443}]},
            traffic.API_SERVER,
        ]
        exporter.closed(NAME, args.namespace, child, egress=ways)
        self._deployment(args)
        probes = {**dict.fromkeys(args.addresses, "http"), "api-server": "cluster"}
        addresses = {**args.addresses, "api-server": [_API_SERVER]}
        for name, module in probes.items():
            probe(
                name,
                addresses[name],
                namespace=args.namespace,
                prober=NAME,
                module=module,
                opts=pulumi.ResourceOptions(parent=self, depends_on=ready),
            )
        self.register_outputs({})

    def _deployment(self, args: BlackboxExporterArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        modules = k8s.core.v1.ConfigMap(
            NAME,
            metadata={"namespace": args.namespace, "labels": labels(NAME)},
            # JSON is YAML, which is what the exporter reads.
            data={"config.yml": pulumi.Output.json_dumps({"modules": _MODULES})},
            opts=child,
        )
        container = exporter.container(
            _IMAGE,
            args=[f"--config.file={_CONFIG}/config.yml"],
            port=_PORT,
            alive="/-/healthy",
            memory="48Mi",
            mounts=[
                {"name": "config", "mount_path": _CONFIG, "read_only": True},
                {"name": "cluster", "mount_path": _AUTHORITY, "read_only": True},
            ],
        )
        exporter.deployment(
            NAME,
            _VERSION,
            namespace=args.namespace,
            template=exporter.template(
                NAME,
                _VERSION,
                account=hardening.service_account(NAME, args.namespace, child),
                container=container,
                volumes=[
                    {"name": "config", "config_map": {"name": modules.metadata["name"]}},
                    # The cluster puts its authority's certificate into every namespace.
                    {"name": "cluster", "config_map": {"name": "kube-root-ca.crt"}},
                ],
            ),
            opts=child,
        )
