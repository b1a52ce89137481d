"""Copies of MLflow's databases: the Job that takes one, and the template of one that restores."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.cron_job import HOUR, cron_job
from components.labels import labels
from components.mlflow_container import SECRETS, ArtifactStore, keys_file, process
from components.mlflow_image import VERSION
from components.mlflow_jobs import beside
from components.mlflow_server import MlflowServer
from components.pull_secret import pulls_with

_PROGRAM = "/opt/mlflow/backup.py"
_KEYS = "/etc/backup"


@dataclass(frozen=True, kw_only=True)
class MlflowBackupArgs:
    namespace: pulumi.Input[str]
    server: MlflowServer
    bucket: ArtifactStore
    """As an account reaches it that may read and write, and lock, below `backups/mlflow/`."""
    schedule: str
    """A cron line, in UTC."""
    lock_days: int

    def __post_init__(self) -> None:
        if self.server.claim is None:
            raise ValueError("need a server with a volume: RDS keeps backups of its own")


class MlflowBackup(pulumi.ComponentResource):
    """Both Jobs mount the server's own volume: SQLite's locks hold among processes of one node.

    A copy now: `kubectl create job NAME --from=cronjob/mlflow-backup`. Restoring needs the server
    stopped and a copy named: `ferry restore` makes that Job.
    """

    def __init__(
        self, name: str, args: MlflowBackupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:tracking:MlflowBackup", name, {"schedule": args.schedule}, opts)
        child = pulumi.ResourceOptions(parent=self)
        keys = self._keys(name, args)
        account = hardening.service_account(name, args.namespace, child, fixed=True)
        pod, container = _common(args, account, keys)
        self._job(name, *_taking(pod, container), args, suspended=False)
        restoring = _restoring(pod, container, args.server.files)
        self._job("mlflow-restore", *restoring, args, suspended=True)
        self.register_outputs({})

    def _keys(self, name: str, args: MlflowBackupArgs) -> pulumi.Output[str] | None:
        """The name of a Secret with the keys of the bucket; None where a role is given."""
        content = keys_file(args.bucket.keys)
        if not content:
            return None
        secret = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels(name)},
            string_data=content,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return secret.metadata["name"]

    def _job(
        self,
        name: str,
        pod: dict[str, Any],
        container: k8s.core.v1.ContainerArgsDict,
        args: MlflowBackupArgs,
        *,
        suspended: bool,
    ) -> None:
        """`suspended`: it is a template alone."""
        child = pulumi.ResourceOptions(parent=self)
        traffic.allow(name, namespace=args.namespace, egress=args.bucket.ways, opts=child)
        cron_job(
            name,
            namespace=args.namespace,
            labels=labels(name, version=VERSION),
            schedule=args.schedule,
            suspended=suspended,
            deadline=HOUR // 4,
            pod=pod,
            containers=[container],
            opts=child,
        )


def _common(
    args: MlflowBackupArgs, account: pulumi.Output[str], keys: pulumi.Output[str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pod and container: the server's image with the server's volume and the way to the bucket."""
    told: dict[str, pulumi.Input[str]] = {
        "FERRY_BUCKET": args.bucket.bucket,
        "FERRY_LOCK_DAYS": str(args.lock_days),
        "AWS_ENDPOINT_URL_S3": args.bucket.endpoint,
        "AWS_DEFAULT_REGION": args.bucket.region,
    }
    container = process(args.server.image, volume=True)
    pod = {
        **hardening.pod(account),
        "image_pull_secrets": pulls_with(args.server.pull_secret),
        "volumes": [
            {"name": "data", "persistent_volume_claim": {"claim_name": args.server.claim}},
            hardening.scratch("512Mi"),
            hardening.scratch("64Mi", "home"),
        ],
    }
    if keys is not None:
        told["AWS_SHARED_CREDENTIALS_FILE"] = f"{_KEYS}/aws"
        pod["volumes"].append({"name": "keys", "secret": {"secret_name": keys}})
        container["volume_mounts"].append({"name": "keys", "mount_path": _KEYS, "read_only": True})
    container["env"] += [{"name": name, "value": value} for name, value in told.items()]
    return pod, container


def _taking(
    pod: dict[str, Any], container: dict[str, Any]
) -> tuple[dict[str, Any], k8s.core.v1.ContainerArgsDict]:
    """It looks at the volume alone, on the node of the server that writes to it."""
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {**each, "read_only": True} if each["name"] == "data" else each
        for each in container["volume_mounts"]
    ]
    node = {"required_during_scheduling_ignored_during_execution": [beside("mlflow")]}
    takes: k8s.core.v1.ContainerArgsDict = {
        **container,
        "name": "take",
        "command": ["python", _PROGRAM, "take", "/tmp"],  # noqa: S108
        "volume_mounts": mounts,
    }
    return {**pod, "affinity": {"pod_affinity": node}}, takes


def _restoring(
    pod: dict[str, Any], container: dict[str, Any], files: pulumi.Output[str]
) -> tuple[dict[str, Any], k8s.core.v1.ContainerArgsDict]:
    """It writes to the volume, and knows the login that the server has now."""
    login: k8s.core.v1.VolumeArgsDict = {
        "name": "login",
        "secret": {"secret_name": files, "items": [{"key": "auth.ini", "path": "auth.ini"}]},
    }
    mount: k8s.core.v1.VolumeMountArgsDict = {
        "name": "login",
        "mount_path": SECRETS,
        "read_only": True,
    }
    restores: k8s.core.v1.ContainerArgsDict = {
        **container,
        "name": "restore",
        "command": ["python", _PROGRAM, "restore", f"{SECRETS}/auth.ini"],
        "volume_mounts": [*container["volume_mounts"], mount],
    }
    return {**pod, "volumes": [*pod["volumes"], login]}, restores
