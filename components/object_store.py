"""An S3 store inside the cluster, for stacks without a cloud: VersityGW over one volume."""

import json
from collections.abc import Mapping, Sequence
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
_ACCOUNTS = "/etc/versitygw"


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    namespace: pulumi.Input[str]
    gateway: Gateway
    callers: Sequence[pulumi.Input[str]]
    """Namespaces whose pods may use the store."""
    size: str
    keep: bool
    accounts: Sequence[str] = ()
    """Names of accounts beside the root's, which may do what a bucket's policy grants them."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """An account's pair of keys; a policy knows it by the first."""

    access: pulumi.Output[str]
    secret: pulumi.Output[str]


class ObjectStore(pulumi.ComponentResource):
    """Path-style S3 with versioning and object lock; it starts again when its accounts change."""

    region = "us-east-1"
    endpoint: pulumi.Output[str]
    """Through the Ingress; known only when the store answers there."""
    internal_endpoint: pulumi.Output[str]
    root: Keys
    accounts: Mapping[str, Keys]

    def __init__(
        self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:storage:ObjectStore", name, {"size": args.size}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.root = _keys(name, child)
        self.accounts = {each: _keys(f"{name}-{each}", child) for each in args.accounts}

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
                "accessKey": self.root.access,
                "secretKey": self.root.secret,
            }
        )

    def _stateful_set(
        self, name: str, args: ObjectStoreArgs, service: pulumi.Input[str]
    ) -> k8s.apps.v1.StatefulSet:
        child = pulumi.ResourceOptions(parent=self)
        keys = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels(name)},
            string_data={
                "access-key": self.root.access,
                "secret-key": self.root.secret,
                "users.json": _users(self.accounts),
            },
            opts=child,
        )
        claim = volume(name, namespace=args.namespace, size=args.size, keep=args.keep, opts=child)
        health: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/health", "port": "http"}
        settings = {
            "VGW_PORT": f":{_PORT}",
            "VGW_HEALTH": "/health",
            "VGW_REGION": self.region,
            "VGW_VERSIONING_DIR": "/data/versions",
            "VGW_IAM_DIR": _ACCOUNTS,
        }
        # The gateway reads the root's keys from the environment and nowhere else.
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
                                    {
                                        "name": "accounts",
                                        "mount_path": _ACCOUNTS,
                                        "read_only": True,
                                    },
                                    *folders,
                                ],
                            }
                        ],
                        "volumes": [
                            {"name": "data", "persistent_volume_claim": {"claim_name": claim}},
                            {
                                "name": "accounts",
                                "secret": {
                                    "secret_name": secret,
                                    "items": [{"key": "users.json", "path": "users.json"}],
                                },
                            },
                            hardening.scratch("64Mi"),
                        ],
                    },
                },
            },
            opts=child,
        )


def _keys(name: str, opts: pulumi.ResourceOptions) -> Keys:
    access = random.RandomId(f"{name}-access", byte_length=10, opts=opts)
    secret = random.RandomPassword(f"{name}-secret", length=40, special=False, opts=opts)
    return Keys(access=access.hex, secret=pulumi.Output.secret(secret.result))


def _users(accounts: Mapping[str, Keys]) -> pulumi.Output[str]:
    pairs = [pulumi.Output.all(keys.access, keys.secret) for keys in accounts.values()]
    return pulumi.Output.all(*pairs).apply(lambda known: users(dict(known)))


def users(known: Mapping[str, str]) -> str:
    """The file in which VersityGW finds its accounts, from access keys and their secrets.

    None of them makes buckets or accounts.
    """
    return json.dumps(
        {
            "accessAccounts": {
                access: {"access": access, "secret": secret, "role": "user"}
                for access, secret in known.items()
            }
        }
    )
