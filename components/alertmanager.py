"""Tells people: an Alertmanager, by its operator, with its configuration and its receivers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.exporter import PROMETHEUS
from components.labels import labels, selector
from components.scraping import GROUP
from components.traffic import Gateway

_IMAGE = "quay.io/prometheus/alertmanager:v0.28.1"
_VERSION = _IMAGE.rpartition(":")[2]
NAME = "alertmanager"
_PORT = 9093


@dataclass(frozen=True, kw_only=True)
class AlertmanagerArgs:
    namespace: pulumi.Input[str]
    gateway: Gateway
    configuration: Mapping[str, Any]
    """As Alertmanager documents it. It names files; what is secret in it would be in state."""
    secrets: Sequence[str]
    """Secrets of the namespace, not of this program's making, which it mounts as files."""
    ports: Sequence[int]
    """Where its receivers answer, outside of the stack."""


class Alertmanager(pulumi.ComponentResource):
    """One replica, which keeps silences and what it has told on a volume."""

    url: pulumi.Output[str]

    def __init__(
        self,
        args: AlertmanagerArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        ready: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("ferry:monitoring:Alertmanager", NAME, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        host = args.gateway.host(NAME)
        way = traffic.allow(
            NAME,
            namespace=args.namespace,
            callers=[args.gateway.namespace],
            # Whose addresses they are, no policy can say.
            egress=[{"ports": [{"port": port} for port in args.ports]}] if args.ports else [],
            opts=child,
        )
        traffic.admit(NAME, namespace=args.namespace, caller=PROMETHEUS, opts=child)
        service = traffic.service(NAME, args.namespace, child, port=_PORT)
        made = self._alertmanager(args, host, [*ready, way])
        ingress = traffic.ingress(
            NAME,
            namespace=args.namespace,
            gateway=args.gateway,
            host=host,
            service=service,
            opts=child,
        )
        self.url = traffic.once(f"http://{host}", made, ingress)
        self.register_outputs({"url": self.url})

    def _alertmanager(
        self, args: AlertmanagerArgs, host: str, ready: Sequence[pulumi.Resource]
    ) -> k8s.apiextensions.CustomResource:
        child = pulumi.ResourceOptions(parent=self)
        configuration = k8s.core.v1.Secret(
            NAME,
            metadata={"namespace": args.namespace, "labels": labels(NAME)},
            # JSON is YAML, which is what Alertmanager reads.
            string_data={"alertmanager.yaml": pulumi.Output.json_dumps(args.configuration)},
            opts=child,
        )
        return k8s.apiextensions.CustomResource(
            NAME,
            api_version=f"{GROUP}/v1",
            kind="Alertmanager",
            metadata={
                "name": NAME,
                "namespace": args.namespace,
                "labels": labels(NAME, version=_VERSION.removeprefix("v")),
                "annotations": {"pulumi.com/waitFor": "condition=Available"},
            },
            spec={
                "version": _VERSION,
                "image": _IMAGE,
                "replicas": 1,
                "externalUrl": f"http://{host}",
                "portName": "http",
                "retention": "120h",
                "configSecret": configuration.metadata["name"],
                "secrets": list(args.secrets),
                "podMetadata": {"labels": selector(NAME)},
                "serviceAccountName": hardening.service_account(NAME, args.namespace, child),
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": hardening.OPERATED,
                "resources": hardening.resources(
                    cpu="10m", memory="48Mi", cpu_limit="250m", memory_limit="128Mi"
                ),
                "storage": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "1Gi"}},
                        }
                    }
                },
                "persistentVolumeClaimRetentionPolicy": {
                    "whenDeleted": "Delete",
                    "whenScaled": "Delete",
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*ready]),
        )
