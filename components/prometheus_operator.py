"""The controller behind a Prometheus: upstream's operator, with rights in two namespaces alone."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic, upstream
from components.access import WATCH, grant, rule
from components.controller import controller

GROUP = "monitoring.coreos.com"
_IMAGE = "quay.io/prometheus-operator/prometheus-operator:v0.85.0"
_VERSION = _IMAGE.rpartition(":")[2]
_RELOADER = f"quay.io/prometheus-operator/prometheus-config-reloader:{_VERSION}"
KINDS = f"prometheus-operator-{_VERSION}"
_PORT = 8080

# Upstream's rules less what it does for Alertmanager, Thanos, agents and kubelets.
_WATCHED_RULES = [
    rule("", ["namespaces"], ["get"]),
    rule(GROUP, ["podmonitors", "servicemonitors", "probes", "prometheusrules"], WATCH),
]
_OWN_RULES = [
    rule(GROUP, ["prometheuses"], WATCH),
    rule(GROUP, ["prometheuses/status"], ["update", "patch"]),
    rule(GROUP, ["prometheuses/finalizers"], ["update"]),
    rule("apps", ["statefulsets"], [*WATCH, "create", "update", "delete"]),
    rule("", ["configmaps", "secrets"], [*WATCH, "create", "update", "delete"]),
    rule("", ["services"], ["get", "create", "update"]),
    rule("", ["pods"], ["list", "delete"]),
]


@dataclass(frozen=True, kw_only=True)
class PrometheusOperatorArgs:
    namespace: pulumi.Input[str]
    """Where it lives, and the only one where a Prometheus may."""
    watched: pulumi.Input[str]
    """Another one, whose monitors and rules it reads."""


class PrometheusOperator(pulumi.ComponentResource):
    """Turns a Prometheus into pods, and monitors into what they scrape."""

    ready: list[pulumi.Resource]
    """What objects of its kinds depend on."""

    def __init__(
        self, name: str, args: PrometheusOperatorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:monitoring:PrometheusOperator", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        kinds = upstream.kinds(KINDS, child)
        account = hardening.service_account(name, args.namespace, child)
        grants = [
            grant(
                f"{name}-{role}",
                namespace=namespace,
                rules=rules,
                account=account,
                home=args.namespace,
                opts=child,
            )
            for role, namespace, rules in (
                ("own", args.namespace, [*_OWN_RULES, *_WATCHED_RULES]),
                ("watched", args.watched, _WATCHED_RULES),
            )
        ]
        way = traffic.allow(
            name,
            namespace=args.namespace,
            egress=[traffic.API_SERVER],
            opts=child,
        )
        deployment = controller(
            name,
            namespace=args.namespace,
            version=_VERSION.removeprefix("v"),
            account=account,
            container=_container(args),
            volumes=[hardening.scratch("16Mi")],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[kinds, way, *grants]),
        )
        self.ready = [kinds, deployment]
        self.register_outputs({})


def _container(args: PrometheusOperatorArgs) -> k8s.core.v1.ContainerArgsDict:
    healthy: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/healthz", "port": "http"}
    return {
        "name": "operator",
        "image": _IMAGE,
        "args": [
            f"--prometheus-config-reloader={_RELOADER}",
            # Its default is too little to watch a mount and answer a probe in time.
            "--config-reloader-cpu-limit=200m",
            pulumi.Output.format("--namespaces={0},{1}", args.namespace, args.watched),
            pulumi.Output.format("--prometheus-instance-namespaces={0}", args.namespace),
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
