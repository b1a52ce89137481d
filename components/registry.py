"""A container registry inside the cluster: distribution over one volume, behind a password."""

import base64
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import hardening, traffic
from components.labels import labels, selector
from components.traffic import Gateway
from components.volume import volume

_IMAGE = "docker.io/library/registry:3.0.0"
_PORT = 5000
_DEBUG_PORT = 5001
_CONFIG = "/etc/distribution"


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    namespace: pulumi.Input[str]
    gateway: Gateway
    monitoring: pulumi.Input[str]
    """The namespace that may read its metrics, and ask whether it answers."""
    size: str
    keep: bool


class Registry(pulumi.ComponentResource):
    """Keeps every image pushed to it: deleting is switched off, so a pinned digest stays."""

    username = "ferry"
    host: pulumi.Output[str]
    """What image names begin with; known only when the registry answers there."""
    url: pulumi.Output[str]
    """Where its API answers."""
    internal_url: pulumi.Output[str]
    password: pulumi.Output[str]
    docker_config_json: pulumi.Output[str]
    """Secret: what a pull secret holds."""

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:images:Registry", name, {"size": args.size}, opts)
        child = pulumi.ResourceOptions(parent=self)
        # bcrypt reads no more than 72 bytes of a password.
        login = random.RandomPassword(f"{name}-login", length=40, special=False, opts=child)
        self.password = pulumi.Output.secret(login.result)

        host = args.gateway.host("registry")
        service = traffic.service(name, args.namespace, child)
        deployment = self._deployment(name, args, pulumi.Output.secret(login.bcrypt_hash))
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
            callers=[args.gateway.namespace, args.monitoring],
            opts=child,
        )
        traffic.tell(name, namespace=args.namespace, to=args.monitoring, port="debug", opts=child)
        self.host = traffic.once(host, deployment, ingress)
        self.url = pulumi.Output.format("http://{0}", self.host)
        self.internal_url = pulumi.Output.format(
            "http://{0}.{1}.svc", service.metadata["name"], args.namespace
        )
        self.docker_config_json = pulumi.Output.json_dumps(
            {"auths": {host: self.password.apply(self._auth)}}
        )
        self.register_outputs(
            {"url": self.url, "password": self.password, "dockerConfig": self.docker_config_json}
        )

    def _auth(self, password: str) -> dict[str, str]:
        both = base64.b64encode(f"{self.username}:{password}".encode()).decode()
        return {"username": self.username, "password": password, "auth": both}

    def _deployment(
        self, name: str, args: RegistryArgs, password_hash: pulumi.Output[str]
    ) -> k8s.apps.v1.Deployment:
        child = pulumi.ResourceOptions(parent=self)
        shared = random.RandomPassword(f"{name}-uploads", length=40, special=False, opts=child)
        config = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": "/var/lib/registry"},
                "delete": {"enabled": False},
            },
            "auth": {"htpasswd": {"realm": "ferry", "path": f"{_CONFIG}/htpasswd"}},
            "http": {
                "addr": f":{_PORT}",
                "secret": pulumi.Output.secret(shared.result),
                # Uploads go on at the address that the client knows, whatever the Ingress is.
                "relativeurls": True,
                "headers": {"X-Content-Type-Options": ["nosniff"]},
                "debug": {
                    "addr": f":{_DEBUG_PORT}",
                    "prometheus": {"enabled": True, "path": "/metrics"},
                },
            },
            "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
        }
        files = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels(name)},
            string_data={
                # JSON is YAML, which is what the registry reads.
                "config.yml": pulumi.Output.json_dumps(config),
                "htpasswd": pulumi.Output.format("{0}:{1}\n", self.username, password_hash),
            },
            opts=child,
        )
        claim = volume(name, namespace=args.namespace, size=args.size, keep=args.keep, opts=child)
        return k8s.apps.v1.Deployment(
            name,
            metadata={"name": name, "namespace": args.namespace, "labels": labels(name)},
            spec={
                "replicas": 1,
                "strategy": {"type": "Recreate"},  # the volume has one writer
                "selector": {"match_labels": selector(name)},
                "template": {
                    "metadata": {"labels": labels(name)},
                    "spec": {
                        **hardening.pod(hardening.service_account(name, args.namespace, child)),
                        "containers": [
                            {
                                "name": "registry",
                                "image": _IMAGE,
                                "args": ["serve", f"{_CONFIG}/config.yml"],
                                "ports": [
                                    {"name": "http", "container_port": _PORT},
                                    {"name": "debug", "container_port": _DEBUG_PORT},
                                ],
                                # Traces would otherwise go to a collector that is not there.
                                "env": [{"name": "OTEL_TRACES_EXPORTER", "value": "none"}],
                                "security_context": hardening.CONTAINER,
                                "resources": hardening.resources(
                                    cpu="25m", memory="64Mi", cpu_limit="1", memory_limit="256Mi"
                                ),
                                "startup_probe": {
                                    "http_get": {"path": "/", "port": "http"},
                                    "period_seconds": 1,
                                    "failure_threshold": 60,
                                },
                                "readiness_probe": {
                                    "http_get": {"path": "/debug/health", "port": "debug"},
                                    "period_seconds": 5,
                                },
                                "liveness_probe": {
                                    "http_get": {"path": "/", "port": "http"},
                                    "period_seconds": 15,
                                },
                                "termination_message_policy": "FallbackToLogsOnError",
                                "volume_mounts": [
                                    {"name": "data", "mount_path": "/var/lib/registry"},
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
