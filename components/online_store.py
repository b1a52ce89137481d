"""The online store of features: one Redis, filled by the jobs and read by the models."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import hardening, traffic
from components.labels import labels, selector
from components.volume import volume

_IMAGE = "docker.io/library/redis:7.0.15"
PORT = "redis"
_PORT = 6379
_CONFIG = "/etc/redis"
_SETTINGS = f"""\
port {_PORT}
dir /data
appendonly yes
save ""
# Half of the limit: a rewrite of the log copies pages that change meanwhile.
maxmemory 256mb
maxmemory-policy noeviction
aclfile {_CONFIG}/users.acl
"""
# Whoever knows the password works with keys, and administers nothing; the probe knows none.
_USERS = """\
user default on #{0} ~* &* +@all -@admin -@dangerous
user probe on nopass -@all +ping
"""


@dataclass(frozen=True, kw_only=True)
class OnlineStoreArgs:
    namespace: pulumi.Input[str]
    callers: Sequence[pulumi.Input[str]]
    """Namespaces whose pods may use the store."""
    size: str
    keep: bool


class OnlineStore(pulumi.ComponentResource):
    """Keeps every write on its volume within a second; refuses more than fits its memory."""

    connection: pulumi.Output[str]
    """Secret: `host:port,password=…`, as Feast takes it."""

    def __init__(
        self, name: str, args: OnlineStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:features:OnlineStore", name, {"size": args.size}, opts)
        child = pulumi.ResourceOptions(parent=self)
        login = random.RandomPassword(f"{name}-login", length=40, special=False, opts=child)
        password = pulumi.Output.secret(login.result)
        service = traffic.service(name, args.namespace, child, port=_PORT, port_name=PORT)
        self._stateful_set(name, args, service.metadata["name"], password)
        traffic.allow(
            name, namespace=args.namespace, callers=args.callers, ports=[PORT], opts=child
        )
        self.connection = pulumi.Output.format(
            "{0}.{1}.svc:{2},password={3}",
            service.metadata["name"],
            args.namespace,
            _PORT,
            password,
        )
        self.register_outputs({"connection": self.connection})

    def _stateful_set(
        self,
        name: str,
        args: OnlineStoreArgs,
        service: pulumi.Input[str],
        password: pulumi.Output[str],
    ) -> None:
        child = pulumi.ResourceOptions(parent=self)
        files = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels(name)},
            string_data={
                "redis.conf": _SETTINGS,
                "users.acl": pulumi.Output.format(_USERS, password.apply(_digest)),
            },
            opts=child,
        )
        claim = volume(name, namespace=args.namespace, size=args.size, keep=args.keep, opts=child)
        # Fails while the log is read, too.
        answers: k8s.core.v1.ExecActionArgsDict = {
            "command": [
                *("redis-cli", "-e", "--user", "probe", "--pass", "none"),
                *("--no-auth-warning", "ping"),
            ]
        }
        k8s.apps.v1.StatefulSet(
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
                                "name": "redis",
                                "image": _IMAGE,
                                "args": [f"{_CONFIG}/redis.conf"],
                                "ports": [{"name": PORT, "container_port": _PORT}],
                                "security_context": hardening.CONTAINER,
                                "resources": hardening.resources(
                                    cpu="25m", memory="64Mi", cpu_limit="1", memory_limit="512Mi"
                                ),
                                "startup_probe": {
                                    "exec_": answers,
                                    "period_seconds": 1,
                                    "timeout_seconds": 3,
                                    "failure_threshold": 60,
                                },
                                "readiness_probe": {
                                    "exec_": answers,
                                    "period_seconds": 10,
                                    "timeout_seconds": 3,
                                },
                                "liveness_probe": {
                                    "tcp_socket": {"port": PORT},
                                    "period_seconds": 15,
                                    "failure_threshold": 4,
                                },
                                "termination_message_policy": "FallbackToLogsOnError",
                                "volume_mounts": [
                                    {"name": "data", "mount_path": "/data"},
                                    {"name": "config", "mount_path": _CONFIG, "read_only": True},
                                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
                                ],
                            }
                        ],
                        "volumes": [
                            {"name": "data", "persistent_volume_claim": {"claim_name": claim}},
                            {"name": "config", "secret": {"secret_name": files.metadata["name"]}},
                            hardening.scratch("64Mi"),
                        ],
                    },
                },
            },
            opts=child,
        )


def _digest(password: str) -> str:
    """What an ACL file of Redis' holds instead of a password."""
    return hashlib.sha256(password.encode()).hexdigest()
