"""One served model: exactly the pinned release, behind a stable name."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, model_pod, traffic
from components.delivery import API, Delivery, DeliveryArgs, How
from components.labels import labels, selector
from components.model_pod import ModelPodArgs
from components.traffic import Gateway


@dataclass(frozen=True, kw_only=True)
class ModelServiceArgs(ModelPodArgs):
    gateway: Gateway
    monitoring: pulumi.Input[str]
    """The namespace that may read the metrics."""
    minimum: int = 2
    maximum: int = 4
    cpu_percent: int = 70
    delivery: How | None = None
    """How traffic moves to a new release; None: replica by replica, judged by readiness alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(f"need 1 <= minimum <= maximum, got {self.minimum}..{self.maximum}")


class ModelService(pulumi.ComponentResource):
    """Moves to a new release without a failed request, or fails the update with the reason."""

    url: pulumi.Output[str]
    grpc_url: pulumi.Output[str]
    rollout: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            "ferry:serving:ModelService",
            name,
            {"version": args.version, "weights": args.weights, "image": args.image},
            opts,
        )
        child = pulumi.ResourceOptions(parent=self)
        # A host of its own for gRPC: an Ingress speaks one protocol to the Service behind it.
        grpc = f"{name}-grpc"
        host, grpc_host = args.gateway.host(name), args.gateway.host(grpc)
        self.url = pulumi.Output.from_input(f"http://{host}")
        self.grpc_url = pulumi.Output.from_input(f"grpc://{grpc_host}:80")
        account = hardening.service_account(name, args.namespace, child, fixed=True)
        template = model_pod.template(name, args, account)
        if args.delivery is None:
            self.rollout = _deployment(name, args, template, child).metadata["name"]
            for each, at, port in ((name, host, "http"), (grpc, grpc_host, "grpc")):
                traffic.ingress(
                    each,
                    namespace=args.namespace,
                    gateway=args.gateway,
                    host=at,
                    service=traffic.service(each, args.namespace, child, of=name, port_name=port),
                    port_name=port,
                    opts=child,
                )
            api, kind = "apps/v1", "Deployment"
        else:
            # Another name than a rolling model's, so that a change of delivery ends the pods
            # that serve only after others do. No pods of its own: it is only read.
            written = _deployment(f"{name}-template", args, template, child, of=name, replicas=0)
            self.rollout = Delivery(
                name,
                DeliveryArgs(
                    namespace=args.namespace,
                    gateway=args.gateway,
                    monitoring=args.monitoring,
                    host=host,
                    grpc_host=grpc_host,
                    image=args.image,
                    deployment=written.metadata["name"],
                    template=template,
                    pull_secret=args.pull_secret,
                    how=args.delivery,
                ),
                child,
            ).rollout
            api, kind = API, "Rollout"
        target: k8s.autoscaling.v2.CrossVersionObjectReferenceArgsDict = {
            "api_version": api,
            "kind": kind,
            "name": self.rollout,
        }
        _autoscaler(name, args, target, child)
        if args.minimum > 1:
            _budget(name, args, child)
        traffic.allow(
            name,
            namespace=args.namespace,
            callers=[args.gateway.namespace, args.monitoring],
            ports=["http", "grpc"],
            egress=args.egress,
            opts=child,
        )
        self.register_outputs({"url": self.url, "grpcUrl": self.grpc_url, "rollout": self.rollout})


def _deployment(
    name: str,
    args: ModelServiceArgs,
    template: k8s.core.v1.PodTemplateSpecArgsDict,
    opts: pulumi.ResourceOptions,
    *,
    of: str | None = None,
    replicas: int | None = None,
) -> k8s.apps.v1.Deployment:
    """The Deployment `name` of the model `of` (itself `name`).

    No `replicas` where pods are wanted: their number is the autoscaler's.
    """
    model = of or name
    spec: k8s.apps.v1.DeploymentSpecArgsDict = {
        "selector": {"match_labels": selector(model)},
        "strategy": {
            "type": "RollingUpdate",
            "rolling_update": {"max_unavailable": 0, "max_surge": 1},
        },
        # Past this an update fails and tells why; a good release is ready long before.
        "progress_deadline_seconds": 180,
        "template": template,
    }
    if replicas is not None:  # even null would be a claim on the field
        spec["replicas"] = replicas
    return k8s.apps.v1.Deployment(
        name,
        metadata={
            "name": name,
            "namespace": args.namespace,
            "labels": model_pod.release_labels(model, args),
        },
        spec=spec,
        opts=opts,
    )


def _autoscaler(
    name: str,
    args: ModelServiceArgs,
    target: k8s.autoscaling.v2.CrossVersionObjectReferenceArgsDict,
    opts: pulumi.ResourceOptions,
) -> None:
    k8s.autoscaling.v2.HorizontalPodAutoscaler(
        name,
        metadata={"name": name, "namespace": args.namespace, "labels": labels(name)},
        spec={
            "scale_target_ref": target,
            "min_replicas": args.minimum,
            "max_replicas": args.maximum,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "average_utilization": args.cpu_percent},
                    },
                }
            ],
        },
        opts=opts,
    )


def _budget(name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions) -> None:
    """With one replica a budget would only block the node's maintenance."""
    k8s.policy.v1.PodDisruptionBudget(
        name,
        metadata={"name": name, "namespace": args.namespace, "labels": labels(name)},
        spec={
            "max_unavailable": 1,
            "selector": {"match_labels": selector(name)},
            "unhealthy_pod_eviction_policy": "AlwaysAllow",
        },
        opts=opts,
    )
