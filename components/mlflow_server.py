"""The MLflow server: its image, its database's upgrade, and one process behind a login."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import hardening, traffic
from components.image import ImageRegistry
from components.labels import labels, selector
from components.mlflow_container import DATABASE, ArtifactStore, keys_file, process, server
from components.mlflow_image import VERSION, mlflow_image
from components.pull_secret import pulls_with
from components.traffic import Gateway
from components.volume import volume


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
    size: str
    keep: bool
    pull_secret: pulumi.Input[str] | None = None


class MlflowServer(pulumi.ComponentResource):
    """One writer on one database: a new version first upgrades it, then replaces the old."""

    username = "admin"
    password: pulumi.Output[str]
    url: pulumi.Output[str]
    internal_url: pulumi.Output[str]
    image: pulumi.Output[str]
    claim: pulumi.Output[str]
    """For the volume with its databases."""
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
        self.files = files = self._files(name, args)
        self.claim = claim = volume(
            name, namespace=args.namespace, size=args.size, keep=args.keep, opts=child
        )
        account = hardening.service_account(name, args.namespace, child, fixed=True)
        pod = {
            **hardening.pod(account),
            "image_pull_secrets": pulls_with(args.pull_secret),
            "volumes": [
                {"name": "data", "persistent_volume_claim": {"claim_name": claim}},
                {"name": "secrets", "secret": {"secret_name": files}},
                hardening.scratch("512Mi"),
                hardening.scratch("64Mi", "home"),
            ],
        }
        upgrade = self._upgrade(name, args.namespace, image, pod)
        host = args.gateway.host(name)
        internal = f"{name}.{args.namespace_name}"
        container = server(
            image=image,
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
                "strategy": {"type": "Recreate"},  # sqlite has one writer
                "selector": {"match_labels": selector(name)},
                "template": {
                    "metadata": {"labels": labels(name, version=VERSION)},
                    "spec": {**pod, "containers": [container]},
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[upgrade]),
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
            egress=args.artifacts.ways,
            opts=child,
        )
        self.url = traffic.once(f"http://{host}", deployment, ingress)
        self.internal_url = pulumi.Output.format(
            "http://{0}.{1}.svc", service.metadata["name"], args.namespace
        )
        self.register_outputs(
            {"url": self.url, "internalUrl": self.internal_url, "password": self.password}
        )

    def _files(self, name: str, args: MlflowServerArgs) -> pulumi.Output[str]:
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
                    "database_uri = sqlite:////data/auth.db\n"
                    "admin_username = {0}\n"
                    "admin_password = {1}\n"
                    # A login costs 0.1 s of CPU a request unless it is remembered.
                    "auth_cache_ttl_seconds = 60\n",
                    self.username,
                    self.password,
                ),
                **keys_file(args.artifacts.keys),
            },
            opts=child,
        )
        return secret.metadata["name"]

    def _upgrade(
        self,
        name: str,
        namespace: pulumi.Input[str],
        image: pulumi.Output[str],
        pod: dict[str, Any],
    ) -> k8s.batch.v1.Job:
        """Makes or upgrades the tables; a Job of its own for every image."""
        return k8s.batch.v1.Job(
            f"{name}-upgrade",
            metadata={
                "name": image.apply(lambda digest: f"{name}-upgrade-{digest[-64:][:12]}"),
                "namespace": namespace,
                "labels": labels(name, version=VERSION),
                # One that failed stays failed: the next update makes another.
                "annotations": {"pulumi.com/replaceUnready": "true"},
            },
            spec={
                "backoff_limit": 3,
                "active_deadline_seconds": 600,
                "template": {
                    # Not the server's selector: its Service must not send requests here.
                    "metadata": {"labels": labels(f"{name}-upgrade", version=VERSION)},
                    "spec": {
                        **pod,
                        "restart_policy": "Never",
                        # The volume is the running server's too, and goes to one node at a time.
                        "affinity": {"pod_affinity": _rather_beside(name)},
                        "containers": [
                            {
                                **process(image),
                                "name": "upgrade",
                                "args": ["db", "upgrade", DATABASE],
                            }
                        ],
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self),
        )


def beside(name: str) -> k8s.core.v1.PodAffinityTermArgsDict:
    """The node of the pods of that name, which a volume of one node is on."""
    return {
        "topology_key": "kubernetes.io/hostname",
        "label_selector": {"match_labels": selector(name)},
    }


def _rather_beside(name: str) -> k8s.core.v1.PodAffinityArgsDict:
    return {
        "preferred_during_scheduling_ignored_during_execution": [
            {"weight": 100, "pod_affinity_term": beside(name)}
        ]
    }
