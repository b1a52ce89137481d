"""One served model: exactly the pinned release, behind a stable name."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.labels import labels, selector
from components.traffic import Gateway

_PORT = 8080
_GRPC_PORT = 8081
# A start is dear (interpreter, model, self-test) and a request is not.
_CPU_BURST = 4


@dataclass(frozen=True, kw_only=True)
class OnlineFeatures:
    """The Secret whose key `connection` opens the online store, and the way to the store."""

    secret: pulumi.Input[str]
    egress: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict


@dataclass(frozen=True, kw_only=True)
class ModelServiceArgs:
    namespace: pulumi.Input[str]
    gateway: Gateway
    monitoring: pulumi.Input[str]
    """The namespace that may read the metrics."""
    image: pulumi.Input[str]
    """By digest: `host/repository@sha256:…`."""
    version: int
    weights: str
    """Digest of the model's files; the server refuses to become ready with others."""
    pull_secret: pulumi.Input[str] | None = None
    features: OnlineFeatures | None = None
    """Where the server looks up an entity's features; None: callers send them all."""
    minimum: int = 2
    maximum: int = 4
    cpu_percent: int = 70
    cpu: str = "250m"
    memory: str = "256Mi"
    gpu: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(f"need 1 <= minimum <= maximum, got {self.minimum}..{self.maximum}")
        if isinstance(self.image, str) and "@sha256:" not in self.image:
            raise ValueError(f"need an image by digest, got {self.image!r}")


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
        deployment = self._deployment(name, args)
        self.rollout = deployment.metadata["name"]
        self._autoscaler(name, args)
        if args.minimum > 1:
            # With one replica a budget would only block the node's maintenance.
            k8s.policy.v1.PodDisruptionBudget(
                name,
                metadata={"name": name, "namespace": args.namespace, "labels": labels(name)},
                spec={
                    "max_unavailable": 1,
                    "selector": {"match_labels": selector(name)},
                    "unhealthy_pod_eviction_policy": "AlwaysAllow",
                },
                opts=child,
            )
        host = args.gateway.host(name)
        traffic.ingress(
            name,
            namespace=args.namespace,
            gateway=args.gateway,
            host=host,
            service=traffic.service(name, args.namespace, child),
            opts=child,
        )
        traffic.allow(
            name,
            namespace=args.namespace,
            callers=[args.gateway.namespace, args.monitoring],
            ports=["http", "grpc"],
            egress=[args.features.egress] if args.features else [],
            opts=child,
        )
        self.url = pulumi.Output.from_input(f"http://{host}")
        # A host of its own: an Ingress speaks one protocol to the Service behind it.
        grpc = f"{name}-grpc"
        grpc_host = args.gateway.host(grpc)
        traffic.ingress(
            grpc,
            namespace=args.namespace,
            gateway=args.gateway,
            host=grpc_host,
            service=traffic.service(grpc, args.namespace, child, of=name, port_name="grpc"),
            port_name="grpc",
            opts=child,
        )
        self.grpc_url = pulumi.Output.from_input(f"grpc://{grpc_host}:80")
        self.register_outputs({"url": self.url, "grpcUrl": self.grpc_url, "rollout": self.rollout})

    def _autoscaler(self, name: str, args: ModelServiceArgs) -> None:
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            name,
            metadata={"name": name, "namespace": args.namespace, "labels": labels(name)},
            spec={
                "scale_target_ref": {
                    "api_version": "apps/v1",
                    "kind": "Deployment",
                    "name": self.rollout,
                },
                "min_replicas": args.minimum,
                "max_replicas": args.maximum,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {
                                "type": "Utilization",
                                "average_utilization": args.cpu_percent,
                            },
                        },
                    }
                ],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _deployment(self, name: str, args: ModelServiceArgs) -> k8s.apps.v1.Deployment:
        child = pulumi.ResourceOptions(parent=self)
        of_release = {
            **labels(name, version=str(args.version)),
            "ferry.dev/model": name,
            "ferry.dev/release": f"{name}-{args.version}",
        }
        return k8s.apps.v1.Deployment(
            name,
            metadata={"name": name, "namespace": args.namespace, "labels": of_release},
            spec={
                # No replicas: their number is the autoscaler's.
                "selector": {"match_labels": selector(name)},
                "strategy": {
                    "type": "RollingUpdate",
                    "rolling_update": {"max_unavailable": 0, "max_surge": 1},
                },
                # Past this an update fails and tells why; a good release is ready long before.
                "progress_deadline_seconds": 180,
                "template": {
                    "metadata": {"labels": of_release},
                    "spec": {
                        **hardening.pod(hardening.service_account(name, args.namespace, child)),
                        "image_pull_secrets": [{"name": args.pull_secret}]
                        if args.pull_secret is not None
                        else None,
                        "termination_grace_period_seconds": 30,
                        "topology_spread_constraints": [
                            {
                                "max_skew": 1,
                                "topology_key": key,
                                "when_unsatisfiable": "ScheduleAnyway",
                                "label_selector": {"match_labels": selector(name)},
                            }
                            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
                        ],
                        "containers": [_container(name, args)],
                        "volumes": [hardening.scratch("128Mi")],
                    },
                },
            },
            opts=child,
        )


def _container(name: str, args: ModelServiceArgs) -> k8s.core.v1.ContainerArgsDict:
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": "MODEL_NAME", "value": name},
        {"name": "MODEL_VERSION", "value": str(args.version)},
        {"name": "MODEL_WEIGHTS", "value": args.weights},
    ]
    if args.features:
        key: k8s.core.v1.SecretKeySelectorArgsDict = {
            "name": args.features.secret,
            "key": "connection",
        }
        environment.append({"name": "ONLINE_STORE", "value_from": {"secret_key_ref": key}})
    ready: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/v2/health/ready", "port": "http"}
    return {
        "name": "model",
        "image": args.image,
        "env": environment,
        "ports": [
            {"name": "http", "container_port": _PORT},
            {"name": "grpc", "container_port": _GRPC_PORT},
        ],
        "security_context": hardening.CONTAINER,
        "resources": hardening.resources(
            cpu=args.cpu,
            memory=args.memory,
            cpu_limit=f"{_CPU_BURST * _millicores(args.cpu)}m",
            memory_limit=args.memory,
            gpu=args.gpu,
        ),
        "startup_probe": {"http_get": ready, "period_seconds": 1, "failure_threshold": 120},
        "readiness_probe": {
            "http_get": ready,
            "period_seconds": 2,
            "failure_threshold": 2,
            "timeout_seconds": 2,
        },
        "liveness_probe": {
            "http_get": {"path": "/v2/health/live", "port": "http"},
            "period_seconds": 10,
            "timeout_seconds": 5,
        },
        # Requests still come until every proxy has seen that the pod is on its way out.
        "lifecycle": {"pre_stop": {"sleep": {"seconds": 5}}},
        "termination_message_policy": "FallbackToLogsOnError",
        "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108
    }


def _millicores(cpu: str) -> int:
    return int(cpu[:-1]) if cpu.endswith("m") else round(float(cpu) * 1000)
