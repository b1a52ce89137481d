"""The MLflow server: its image, its database's upgrade, and one process behind a login."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import hardening, traffic
from components.image import ImageRegistry
from components.labels import labels, selector
from components.mlflow_container import ArtifactStore, keys_file, server
from components.mlflow_database import Databases, Postgres, Volume, databases
from components.mlflow_image import VERSION, mlflow_image
from components.mlflow_jobs import tables
from components.pull_secret import pulls_with
from components.traffic import Gateway

# SQLite has one writer; a PostgreSQL lets the new server start before the old one goes.
_ONE: k8s.apps.v1.DeploymentStrategyArgsDict = {"type": "Recreate"}
_ROLLING: k8s.apps.v1.DeploymentStrategyArgsDict = {
    "type": "RollingUpdate",
    "rolling_update": {"max_surge": 1, "max_unavailable": 0},
}


@dataclass(frozen=True, kw_only=True)
class MlflowServerArgs:
    namespace: pulumi.Input[str]
    namespace_name: str
    """The same, known when the program runs: requests name the server by it."""
    gateway: Gateway
    callers: Sequence[pulumi.Input[str]]
    """Namespaces whose pods may use the server."""
    registry: ImageRegistry
    artifacts: ArtifactStore
    database: Volume | Postgres
    pull_secret: pulumi.Input[str] | None = None


class MlflowServer(pulumi.ComponentResource):
    """A new version first upgrades the database, then replaces the old server."""

    username = "admin"
    password: pulumi.Output[str]
    url: pulumi.Output[str]
    internal_url: pulumi.Output[str]
    image: pulumi.Output[str]
    claim: pulumi.Output[str] | None
    """For the volume with its databases; None: they are a PostgreSQL's."""
    files: pulumi.Output[str]
    """The Secret with auth.ini."""
    pull_secret: pulumi.Input[str] | None

    def __init__(
        self, name: str, args: MlflowServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:tracking:MlflowServer", name, {"version": VERSION}, opts)
        child = pulumi.ResourceOptions(parent=self)
        admin = random.RandomPassword(f"{name}-admin", length=40, special=False, opts=child)
        self.password = pulumi.Output.secret(admin.result)
        self.pull_secret = args.pull_secret
        self.image = image = mlflow_image(name, args.registry, child)
        kept = databases(name, args.database, namespace=args.namespace, opts=child)
        self.files = files = self._files(name, args, kept)
        self.claim = kept.claim
        account = hardening.service_account(name, args.namespace, child, fixed=True)
        pod = {
            **hardening.pod(account),
            "image_pull_secrets": pulls_with(args.pull_secret),
            "volumes": [
                *kept.volumes,
                {"name": "secrets", "secret": {"secret_name": files}},
                hardening.scratch("512Mi"),
                hardening.scratch("64Mi", "home"),
            ],
        }
        upgraded = tables(
            name,
            args.database,
            kept,
            namespace=args.namespace,
            image=image,
            pod=pod,
            opts=child,
        )
        host = args.gateway.host(name)
        internal = f"{name}.{args.namespace_name}"
        container = server(
            image=image,
            databases=kept,
            artifacts=args.artifacts,
            files=files,
            host=host,
            hosts=[name, internal, f"{internal}.svc", f"{internal}.svc.cluster.local"],
        )
        deployment = k8s.apps.v1.Deployment(
            name,
            metadata={
                "name": name,
                "namespace": args.namespace,
                "labels": labels(name, version=VERSION),
            },
            spec={
                "replicas": 1,
                "strategy": _ONE if kept.claim is not None else _ROLLING,
                "selector": {"match_labels": selector(name)},
                "template": {
                    "metadata": {"labels": labels(name, version=VERSION)},
                    "spec": {**pod, "containers": [container]},
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[upgraded]),
        )
        service = traffic.service(name, args.namespace, child)
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
            egress=[*args.artifacts.ways, *kept.ways],
            opts=child,
        )
        self.url = traffic.once(f"http://{host}", deployment, ingress)
        self.internal_url = pulumi.Output.format(
            "http://{0}.{1}.svc", service.metadata["name"], args.namespace
        )
        self.register_outputs(
            {"url": self.url, "internalUrl": self.internal_url, "password": self.password}
        )

    def _files(self, name: str, args: MlflowServerArgs, kept: Databases) -> pulumi.Output[str]:
        """The name of the Secret with all that the server must not show."""
        child = pulumi.ResourceOptions(parent=self)
        csrf = random.RandomPassword(f"{name}-csrf", length=40, special=False, opts=child)
        secret = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels(name)},
            string_data={
                "csrf-key": pulumi.Output.secret(csrf.result),
                "auth.ini": pulumi.Output.format(
                    "[mlflow]\n"
                    "default_permission = NO_PERMISSIONS\n"
                    "database_uri = {0}\n"
                    "admin_username = {1}\n"
                    "admin_password = {2}\n"
                    # A login costs 0.1 s of CPU a request unless it is remembered.
                    "auth_cache_ttl_seconds = 60\n",
                    kept.logins,
                    self.username,
                    self.password,
                ),
                **keys_file(args.artifacts.keys),
            },
            opts=child,
        )
        return secret.metadata["name"]
