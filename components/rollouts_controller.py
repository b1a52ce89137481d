"""The controller that moves traffic between releases: Argo Rollouts, for one namespace."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic, upstream
from components.access import WATCH, grant, rule
from components.controller import controller

_IMAGE = "quay.io/argoproj/argo-rollouts:v1.8.3"
_VERSION = _IMAGE.rpartition(":")[2]
KINDS = f"argo-rollouts-{_VERSION}"
"""Of the definitions in upstream's manifests/install.yaml, byte for byte, those used here."""
_METRICS = 8090
_HEALTH = 8080

_CHANGE = [*WATCH, "update", "patch"]
_MAKE = [*_CHANGE, "create", "delete"]

# Upstream's rules less those of other routers, of what is not used, and of Secrets.
_RULES = [
    rule("argoproj.io", ["rollouts", "rollouts/status", "rollouts/finalizers"], _CHANGE),
    rule(
        "argoproj.io",
        ["analysisruns", "analysisruns/finalizers", "experiments", "experiments/finalizers"],
        _MAKE,
    ),
    rule("argoproj.io", ["analysistemplates"], WATCH),
    rule("apps", ["replicasets"], _MAKE),
    rule("apps", ["deployments"], [*WATCH, "update"]),
    rule("", ["services"], [*WATCH, "patch"]),
    rule("", ["pods"], ["list", "watch", "update"]),
    rule("", ["pods/eviction"], ["create"]),
    rule("", ["events"], ["create", "update", "patch"]),
    rule("networking.k8s.io", ["ingresses"], WATCH),
    rule("batch", ["jobs"], _MAKE),
    rule("traefik.io", ["traefikservices"], ["get", "watch", "update"]),
]
# Where it lives itself: one of several replicas leads, and its settings may be absent.
_OWN_RULES = [
    rule("coordination.k8s.io", ["leases"], ["create", "get", "update"]),
    rule("", ["configmaps"], WATCH, ["argo-rollouts-config"]),
    rule("", ["configmaps"], WATCH, ["argo-rollouts-notification-configmap"]),
    rule("", ["secrets"], WATCH, ["argo-rollouts-notification-secret"]),
]


@dataclass(frozen=True, kw_only=True)
class RolloutsControllerArgs:
    namespace: pulumi.Input[str]
    models: pulumi.Input[str]
    """The one namespace whose Rollouts it moves."""
    monitoring: pulumi.Input[str]
    """The namespace that may read its metrics."""


class RolloutsController(pulumi.ComponentResource):
    """Sees and changes nothing outside the models' namespace; one replica, since it only moves."""

    ready: list[pulumi.Resource]
    """What Rollouts depend on."""

    def __init__(
        self, name: str, args: RolloutsControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:serving:RolloutsController", name, {}, opts)
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
                ("models", args.models, _RULES),
                ("own", args.namespace, _OWN_RULES),
            )
        ]
        way = traffic.allow(
            name,
            namespace=args.namespace,
            callers=[args.monitoring],
            ports=["metrics"],
            egress=[traffic.API_SERVER],
            opts=child,
        )
        traffic.service(
            f"{name}-metrics", args.namespace, child, of=name, port=_METRICS, port_name="metrics"
        )
        deployment = controller(
            name,
            namespace=args.namespace,
            version=_VERSION,
            account=account,
            container=_container(args),
            volumes=[hardening.scratch("16Mi"), hardening.scratch("16Mi", "plugin-bin")],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[kinds, way, *grants]),
        )
        self.ready = [kinds, deployment]
        self.register_outputs({})


def _container(args: RolloutsControllerArgs) -> k8s.core.v1.ContainerArgsDict:
    return {
        "name": "controller",
        "image": _IMAGE,
        "args": [
            "--namespaced",
            pulumi.Output.format("--namespace={0}", args.models),
            # By default it speaks to the group of Traefik 2.
            "--traefik-api-group=traefik.io",
            "--traefik-api-version=traefik.io/v1alpha1",
        ],
        "ports": [
            {"name": "metrics", "container_port": _METRICS},
            {"name": "healthz", "container_port": _HEALTH},
        ],
        "security_context": hardening.CONTAINER,
        "resources": hardening.resources(
            cpu="25m", memory="96Mi", cpu_limit="1", memory_limit="256Mi"
        ),
        "readiness_probe": {
            "http_get": {"path": "/metrics", "port": "metrics"},
            "period_seconds": 2,
            "timeout_seconds": 4,
        },
        "liveness_probe": {
            "http_get": {"path": "/healthz", "port": "healthz"},
            "initial_delay_seconds": 30,
            "period_seconds": 20,
            "timeout_seconds": 10,
        },
        "termination_message_policy": "FallbackToLogsOnError",
        "volume_mounts": [
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
            {"name": "plugin-bin", "mount_path": "/home/argo-rollouts/plugin-bin"},
        ],
    }
