"""An S3 store inside the cluster, for stacks without a cloud: VersityGW over one volume."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import hardening, traffic
from components.labels import labels, selector
from components.traffic import Gateway
from components.volume import volume

_IMAGE = "docker.io/versity/versitygw:v1.0.14"
_PORT = 7070


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    namespace: pulumi.Input[str]
    gateway: Gateway
    callers: Sequence[pulumi.Input[str]]
    """Namespaces whose pods may use the store."""
    size: str
    keep: bool


class ObjectStore(pulumi.ComponentResource):
    """Path-style S3 with versioning and object lock, under one pair of root keys."""

    region = "us-east-1"
    endpoint: pulumi.Output[str]
    """Through the Ingress; known only when the store answers there."""
    internal_endpoint: pulumi.Output[str]
    access_key: pulumi.Output[str]
    secret_key: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:storage:ObjectStore", name, {"size": args.size}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.access_key = random.RandomId(f"{name}-access", byte_length=10, opts=child).hex
        secret = random.RandomPassword(f"{name}-secret", length=40, special=False, opts=child)
        self.secret_key = pulumi.Output.secret(secret.result)

        service = traffic.service(name, args.namespace, child)
        stateful_set = self._stateful_set(name, args, service.metadata["name"])
        host = args.gateway.host("s3")
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
            callers=[args.gateway.namespace, *args.callers],
            opts=child,
        )
        self.endpoint = traffic.once(f"http://{host}", stateful_set, ingress)
        self.internal_endpoint = pulumi.Output.format(
            "http://{0}.{1}.svc", service.metadata["name"], args.namespace
        )
        self.register_outputs(
            {
                "endpoint": self.endpoint,
                "internalEndpoint": self.internal_endpoint,
                "accessKey": self.access_key,
                "secretKey": self.secret_key,
            }
        )

    def _stateful_set(
        self, name: str, args: ObjectStoreArgs, service: pulumi.Input[str]
    ) -> k8s.apps.v1.StatefulSet:
        child = pulumi.ResourceOptions(parent=self)
        keys = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels(name)},
            string_data={"access-key": self.access_key, "secret-key": self.secret_key},
            opts=child,
        )
        claim = volume(name, namespace=args.namespace, size=args.size, keep=args.keep, opts=child)
        health: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/health", "port": "http"}
        settings = {
            "VGW_PORT": f":{_PORT}",
            "VGW_HEALTH": "/health",
            "VGW_REGION": self.region,
            "VGW_VERSIONING_DIR": "/data/versions",
        }
        # The gateway reads its keys from the environment and nowhere else.
        references = {"ROOT_ACCESS_KEY": "access-key", "ROOT_SECRET_KEY": "secret-key"}
        secret = keys.metadata["name"]
        environment: list[k8s.core.v1.EnvVarArgsDict] = [
            {"name": variable, "value": value} for variable, value in settings.items()
        ]
        environment += [
            {"name": variable, "value_from": {"secret_key_ref": {"name": secret, "key": key}}}
            for variable, key in references.items()
        ]
        # Two folders of one volume, made by the kubelet.
        folders: list[k8s.core.v1.VolumeMountArgsDict] = [
            {"name": "data", "mount_path": f"/data/{folder}", "sub_path": folder}
            for folder in ("objects", "versions")
        ]
        return k8s.apps.v1.StatefulSet(
            name,
            metadata={"name": name, "namespace": args.namespace, "labels": labels(name)},
            spec={
                "replicas": 1,
                "service_name": service,
                "selector": {"match_labels": selector(name)},
                "template": {
                    "metadata": {"labels": labels(name)},
                    "spec": {
                        **hardening.pod(hardening.service_account(name, args.namespace, child)),
                        "containers": [
                            {
                                "name": "gateway",
                                "image": _IMAGE,
                                "args": ["posix", "/data/objects"],
                                "env": environment,
                                "ports": [{"name": "http", "container_port": _PORT}],
                                "security_context": hardening.CONTAINER,
                                "resources": hardening.resources(
                                    cpu="25m", memory="64Mi", cpu_limit="1", memory_limit="512Mi"
                                ),
                                "startup_probe": {
                                    "http_get": health,
                                    "period_seconds": 1,
                                    "failure_threshold": 60,
                                },
                                "readiness_probe": {"http_get": health, "period_seconds": 5},
                                "liveness_probe": {
                                    "http_get": health,
                                    "period_seconds": 15,
                                    "failure_threshold": 4,
                                },
                                "termination_message_policy": "FallbackToLogsOnError",
                                "volume_mounts": [
                                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
                                    *folders,
                                ],
                            }
                        ],
                        "volumes": [
                            {"name": "data", "persistent_volume_claim": {"claim_name": claim}},
                            hardening.scratch("64Mi"),
                        ],
                    },
                },
            },
            opts=child,
        )
