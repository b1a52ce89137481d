"""The watch of one served model: one process beside the jobs, which may start one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.access import grant, rule
from components.controller import controller

LABEL = "ferry.dev/watch"
_PORT = 8080


@dataclass(frozen=True, kw_only=True)
class ModelWatchArgs:
    namespace: pulumi.Input[str]
    """Where the model's jobs are."""
    image: pulumi.Input[str]
    """By digest: `host/repository@sha256:…`."""
    version: int
    """The served version."""
    retraining: str
    """The CronJob that is the template of a retraining."""
    environment: Sequence[k8s.core.v1.EnvVarArgsDict]
    callers: Sequence[pulumi.Input[str]]
    """Namespaces whose pods may read metrics and bring outcomes."""
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]
    """The way to the bucket."""
    pull_secret: pulumi.Input[str] | None = None


class ModelWatch(pulumi.ComponentResource):
    """Tells what became of the model's predictions, and asks for a new model when they drift.

    Of Kubernetes it may read one CronJob and create Jobs, and nothing else.
    """

    url: pulumi.Output[str]

    def __init__(
        self, model: str, args: ModelWatchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:watch:ModelWatch", model, {"version": args.version}, opts)
        child = pulumi.ResourceOptions(parent=self)
        name = f"{model}-watch"
        marks = {LABEL: model}
        account = hardening.service_account(name, args.namespace, child, fixed=True)
        allowed = grant(
            name,
            namespace=args.namespace,
            rules=[
                rule("batch", ["cronjobs"], ["get"], [args.retraining]),
                rule("batch", ["jobs"], ["create"]),
            ],
            account=account,
            home=args.namespace,
            opts=child,
        )
        way = traffic.allow(
            name,
            namespace=args.namespace,
            callers=args.callers,
            egress=[*args.egress, traffic.API_SERVER],
            opts=child,
        )
        controller(
            name,
            namespace=args.namespace,
            version=str(args.version),
            account=account,
            container=_container(model, args),
            volumes=[hardening.scratch("128Mi")],
            marks=marks,
            pull_secret=args.pull_secret,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed, way]),
        )
        service = traffic.service(name, args.namespace, child, marks=marks)
        self.url = pulumi.Output.format(
            "http://{0}.{1}.svc", service.metadata["name"], args.namespace
        )
        self.register_outputs({"url": self.url})


def _container(model: str, args: ModelWatchArgs) -> k8s.core.v1.ContainerArgsDict:
    alive: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/healthz", "port": "http"}
    return {
        "name": "watch",
        "image": args.image,
        "command": ["python", "-m", "app.watch", "--model", model],
        "env": list(args.environment),
        "ports": [{"name": "http", "container_port": _PORT}],
        "security_context": hardening.CONTAINER,
        # 208 MB with 69,000 predictions in memory and windows of 11,505 rows; a page of one that
        # drifted takes 350 MB more while it is drawn, a million predictions some 80.
        "resources": hardening.resources(
            cpu="50m", memory="256Mi", cpu_limit="1", memory_limit="768Mi"
        ),
        # Its imports are half of a training's.
        "startup_probe": {"http_get": alive, "period_seconds": 2, "failure_threshold": 60},
        "readiness_probe": {
            "http_get": {"path": "/readyz", "port": "http"},
            "period_seconds": 5,
            "timeout_seconds": 5,
        },
        "liveness_probe": {
            "http_get": alive,
            "period_seconds": 20,
            "timeout_seconds": 5,
            "failure_threshold": 4,
        },
        "termination_message_policy": "FallbackToLogsOnError",
        "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108
    }
