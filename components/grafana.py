"""Grafana: its data source and screens are provisioned, its administrator is generated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import hardening, traffic
from components.labels import labels, selector
from components.traffic import Gateway

_IMAGE = "docker.io/grafana/grafana:12.4.5"
_VERSION = _IMAGE.rpartition(":")[2]
_PORT = 3000
_USER = "admin"
_SECRETS = "/etc/secrets"
_SCREENS = "/etc/dashboards"
_PROVISIONING = "/etc/grafana/provisioning"
# What it keeps itself (preferences, sessions) may go with the pod: sources and screens are files.
_DATA = "/var/lib/grafana"
_PROVIDER = f"""\
apiVersion: 1
providers:
  - name: ferry
    folder: Ferry
    type: file
    disableDeletion: true
    allowUiUpdates: false
    options: {{path: {_SCREENS}}}
"""


@dataclass(frozen=True, kw_only=True)
class GrafanaArgs:
    namespace: pulumi.Input[str]
    gateway: Gateway
    prometheus_url: pulumi.Input[str]
    """Of the only data source, whose uid is `prometheus`."""
    dashboards: Mapping[str, str]
    """JSON by file name."""


class Grafana(pulumi.ComponentResource):
    """Shows what Prometheus has; changed in code alone, so its pod keeps nothing."""

    url: pulumi.Output[str]
    username: str
    password: pulumi.Output[str]
    """Secret."""

    def __init__(
        self, name: str, args: GrafanaArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:monitoring:Grafana", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        host = args.gateway.host(name)
        login = random.RandomPassword(f"{name}-admin", length=40, special=False, opts=child)
        self.username, self.password = _USER, pulumi.Output.secret(login.result)
        deployment = _deployment(
            name,
            args,
            host=host,
            admin=k8s.core.v1.Secret(
                f"{name}-admin",
                metadata={"namespace": args.namespace, "labels": labels(name)},
                string_data={"password": self.password},
                opts=child,
            ),
            files={
                f"{_PROVISIONING}/datasources": _files(
                    f"{name}-source",
                    {"prometheus.yaml": pulumi.Output.json_dumps(_source(args.prometheus_url))},
                    args,
                    child,
                ),
                f"{_PROVISIONING}/dashboards": _files(
                    f"{name}-provider", {"ferry.yaml": _PROVIDER}, args, child
                ),
                _SCREENS: _files(f"{name}-screens", args.dashboards, args, child),
            },
            opts=child,
        )
        service = traffic.service(name, args.namespace, child)
        ingress = traffic.ingress(
            name,
            namespace=args.namespace,
            gateway=args.gateway,
            host=host,
            service=service,
            opts=child,
        )
        traffic.allow(
            name,
            namespace=args.namespace,
            callers=[args.gateway.namespace],
            egress=[traffic.to("prometheus", args.namespace)],
            opts=child,
        )
        self.url = traffic.once(f"http://{host}", deployment, ingress)
        self.register_outputs({"url": self.url})


def _source(prometheus: pulumi.Input[str]) -> dict[str, Any]:
    """Provisioned as YAML, of which JSON is a part."""
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": "prometheus",
                "type": "prometheus",
                "access": "proxy",
                "url": prometheus,
                "isDefault": True,
                "editable": False,
            }
        ],
    }


def _files(
    name: str,
    content: Mapping[str, pulumi.Input[str]],
    args: GrafanaArgs,
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.ConfigMap:
    return k8s.core.v1.ConfigMap(
        name,
        metadata={"namespace": args.namespace, "labels": labels(name)},
        data=dict(content),
        # A changed file is another object, and so another pod.
        immutable=True,
        opts=opts,
    )


def _environment(host: str) -> dict[str, str]:
    """Its own settings, by the names that its file `grafana.ini` has for them."""
    return {
        "GF_SERVER_ROOT_URL": f"http://{host}",
        "GF_SECURITY_ADMIN_USER": _USER,
        "GF_SECURITY_ADMIN_PASSWORD__FILE": f"{_SECRETS}/password",
        "GF_SECURITY_DISABLE_GRAVATAR": "true",
        "GF_SECURITY_COOKIE_SAMESITE": "strict",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_AUTH_ANONYMOUS_ENABLED": "false",
        # It tells nobody, and asks nobody for anything.
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
        "GF_LOG_MODE": "console",
        "GF_LOG_CONSOLE_FORMAT": "json",
        "GF_PATHS_DATA": _DATA,
    }


def _deployment(
    name: str,
    args: GrafanaArgs,
    *,
    host: str,
    admin: k8s.core.v1.Secret,
    files: Mapping[str, k8s.core.v1.ConfigMap],
    opts: pulumi.ResourceOptions,
) -> k8s.apps.v1.Deployment:
    described = labels(name, version=_VERSION)
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {"name": "admin", "mount_path": _SECRETS, "read_only": True},
        {"name": "data", "mount_path": _DATA},
        {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
    ]
    volumes: list[k8s.core.v1.VolumeArgsDict] = [
        {"name": "admin", "secret": {"secret_name": admin.metadata["name"]}},
        hardening.scratch("256Mi", "data"),
        hardening.scratch("64Mi"),
    ]
    for place, (folder, config) in enumerate(files.items()):
        mounts.append({"name": f"files-{place}", "mount_path": folder, "read_only": True})
        volumes.append({"name": f"files-{place}", "config_map": {"name": config.metadata["name"]}})
    healthy: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/api/health", "port": "http"}
    return k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": args.namespace, "labels": described},
        spec={
            "replicas": 1,
            "selector": {"match_labels": selector(name)},
            "strategy": {"type": "RollingUpdate", "rolling_update": {"max_unavailable": 0}},
            "template": {
                "metadata": {"labels": described},
                "spec": {
                    **hardening.pod(hardening.service_account(name, args.namespace, opts)),
                    "containers": [
                        {
                            "name": "grafana",
                            "image": _IMAGE,
                            "env": [
                                {"name": key, "value": value}
                                for key, value in _environment(host).items()
                            ],
                            "ports": [{"name": "http", "container_port": _PORT}],
                            "security_context": hardening.CONTAINER,
                            "resources": hardening.resources(
                                cpu="50m", memory="128Mi", cpu_limit="1", memory_limit="512Mi"
                            ),
                            "startup_probe": {
                                "http_get": healthy,
                                "period_seconds": 2,
                                "failure_threshold": 60,
                            },
                            "readiness_probe": {"http_get": healthy, "period_seconds": 10},
                            "liveness_probe": {
                                "tcp_socket": {"port": "http"},
                                "period_seconds": 15,
                                "failure_threshold": 4,
                            },
                            "termination_message_policy": "FallbackToLogsOnError",
                            "volume_mounts": mounts,
                        }
                    ],
                    "volumes": volumes,
                },
            },
        },
        opts=opts,
    )
