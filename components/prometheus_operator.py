"""The controller behind Prometheus and Alertmanager: upstream's, with rights in one namespace."""

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic, upstream
from components.access import WATCH, grant, rule
from components.controller import controller
from components.exporter import PROMETHEUS
from components.scraping import GROUP

NAME = "prometheus-operator"
_IMAGE = "quay.io/prometheus-operator/prometheus-operator:v0.85.0"
_VERSION = _IMAGE.rpartition(":")[2]
_RELOADER = f"quay.io/prometheus-operator/prometheus-config-reloader:{_VERSION}"
KINDS = f"prometheus-operator-{_VERSION}"
_PORT = 8080

# Upstream's rules less what it does for Thanos, agents and kubelets.
_RULES = [
    rule("", ["namespaces"], ["get"]),
    rule(
        GROUP,
        ["alertmanagerconfigs", "podmonitors", "probes", "prometheusrules", "servicemonitors"],
        WATCH,
    ),
    rule(GROUP, ["alertmanagers", "prometheuses"], WATCH),
    rule(GROUP, ["alertmanagers/status", "prometheuses/status"], ["update", "patch"]),
    rule(GROUP, ["alertmanagers/finalizers", "prometheuses/finalizers"], ["update"]),
    rule("apps", ["statefulsets"], [*WATCH, "create", "update", "delete"]),
    rule("", ["configmaps", "secrets"], [*WATCH, "create", "update", "delete"]),
    rule("", ["services"], ["get", "create", "update"]),
    rule("", ["pods"], ["list", "delete"]),
]


class PrometheusOperator(pulumi.ComponentResource):
    """Sees and changes the namespace that it lives in, and no other.

    Turns a Prometheus and an Alertmanager into pods, and monitors into what they scrape.
    """

    ready: list[pulumi.Resource]
    """What objects of its kinds depend on."""

    def __init__(
        self, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:monitoring:PrometheusOperator", NAME, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        kinds = upstream.kinds(KINDS, child)
        account = hardening.service_account(NAME, namespace, child)
        rights = grant(
            NAME,
            namespace=namespace,
            rules=_RULES,
            account=account,
            home=namespace,
            opts=child,
        )
        way = traffic.allow(
            NAME,
            namespace=namespace,
            egress=[traffic.API_SERVER],
            opts=child,
        )
        traffic.admit(NAME, namespace=namespace, caller=PROMETHEUS, opts=child)
        deployment = controller(
            NAME,
            namespace=namespace,
            version=_VERSION.removeprefix("v"),
            account=account,
            container=_container(namespace),
            volumes=[hardening.scratch("16Mi")],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[kinds, way, rights]),
        )
        self.ready = [kinds, deployment]
        self.register_outputs({})


def _container(namespace: pulumi.Input[str]) -> k8s.core.v1.ContainerArgsDict:
    healthy: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/healthz", "port": "http"}
    return {
        "name": "operator",
        "image": _IMAGE,
        "args": [
            f"--prometheus-config-reloader={_RELOADER}",
            # Its default is too little to watch a mount and answer a probe in time.
            "--config-reloader-cpu-limit=200m",
            pulumi.Output.format("--namespaces={0}", namespace),
        ],
        "ports": [{"name": "http", "container_port": _PORT}],
        "security_context": hardening.CONTAINER,
        "resources": hardening.resources(
            cpu="25m", memory="64Mi", cpu_limit="500m", memory_limit="256Mi"
        ),
        "startup_probe": {"http_get": healthy, "period_seconds": 1, "failure_threshold": 60},
        "readiness_probe": {"http_get": healthy, "period_seconds": 5},
        "liveness_probe": {"http_get": healthy, "period_seconds": 15, "failure_threshold": 4},
        "termination_message_policy": "FallbackToLogsOnError",
        "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108
    }
