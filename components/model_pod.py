"""The pods that serve one release: the same ones, however traffic moves to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import hardening
from components.labels import labels, selector
from components.pull_secret import pulls_with

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
class RequestLog:
    """Where a share of the scored rows goes, and how: the bucket, and who writes to it."""

    sample: float
    """From 0 to 1."""
    bucket: pulumi.Input[str]
    endpoint: pulumi.Input[str]
    region: str
    secret: pulumi.Input[str] | None
    """A Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; None: a role of the cloud's."""
    ways: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]

    def environment(self) -> list[k8s.core.v1.EnvVarArgsDict]:
        """What the server is told of it."""
        plain: dict[str, pulumi.Input[str]] = {
            "REQUEST_LOG_SAMPLE": str(self.sample),
            "FERRY_BUCKET": self.bucket,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": self.region,
        }
        told: list[k8s.core.v1.EnvVarArgsDict] = [
            {"name": name, "value": value} for name, value in plain.items()
        ]
        if self.secret is None:
            return told
        return told + [
            {"name": name, "value_from": {"secret_key_ref": {"name": self.secret, "key": name}}}
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        ]


@dataclass(frozen=True, kw_only=True)
class ModelPodArgs:
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    """By digest: `host/repository@sha256:…`."""
    version: int
    weights: str
    """Digest of the model's files; the server refuses to become ready with others."""
    signer: str
    """Digest of the public key that must have signed them."""
    pull_secret: pulumi.Input[str] | None = None
    features: OnlineFeatures | None = None
    """Where the server looks up an entity's features; None: callers send them all."""
    request_log: RequestLog | None = None
    """None: nothing that is scored is kept."""
    cpu: str = "250m"
    memory: str = "256Mi"
    gpu: int = 0

    @property
    def egress(self) -> list[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]:
        """Where a replica's connections may go."""
        features = [self.features.egress] if self.features else []
        return features + list(self.request_log.ways if self.request_log else ())

    def __post_init__(self) -> None:
        if isinstance(self.image, str) and "@sha256:" not in self.image:
            raise ValueError(f"need an image by digest, got {self.image!r}")


def release_labels(name: str, args: ModelPodArgs) -> dict[str, str]:
    return {
        **labels(name, version=str(args.version)),
        "ferry.dev/model": name,
        "ferry.dev/release": f"{name}-{args.version}",
    }


def template(
    name: str, args: ModelPodArgs, account: pulumi.Input[str]
) -> k8s.core.v1.PodTemplateSpecArgsDict:
    """What a replica of the model `name` is; `account` is the one that it runs under."""
    return {
        "metadata": {"labels": release_labels(name, args)},
        "spec": {
            **hardening.pod(account),
            "image_pull_secrets": pulls_with(args.pull_secret),
            **_devices(args.gpu),
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
    }


def _devices(gpu: int) -> dict[str, Any]:
    """What lets a pod onto nodes that are tainted with their devices.

    Without devices nothing: even null would be a claim on the field.
    """
    return {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]} if gpu else {}


def _container(name: str, args: ModelPodArgs) -> k8s.core.v1.ContainerArgsDict:
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": "MODEL_NAME", "value": name},
        {"name": "MODEL_VERSION", "value": str(args.version)},
        {"name": "MODEL_WEIGHTS", "value": args.weights},
        {"name": "MODEL_SIGNER", "value": args.signer},
    ]
    if args.features:
        key: k8s.core.v1.SecretKeySelectorArgsDict = {
            "name": args.features.secret,
            "key": "connection",
        }
        environment.append({"name": "ONLINE_STORE", "value_from": {"secret_key_ref": key}})
    if args.request_log:
        environment += args.request_log.environment()
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
