"""The MLflow server's process: command line, environment, probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import hardening
from components.mlflow_database import Databases
from components.object_store import Keys

SECRETS = "/etc/mlflow"
_PORT = 5000
_HOME = "/home/mlflow"


@dataclass(frozen=True, kw_only=True)
class ArtifactStore:
    """The bucket, as the server reaches it from inside the cluster."""

    bucket: pulumi.Input[str]
    endpoint: pulumi.Input[str]
    region: str
    keys: Keys | None
    """None: the server's pods have a role of their cloud's."""
    ways: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]
    """Where the server's connections to it may go."""


def process(image: pulumi.Input[str], *, volume: bool) -> dict[str, Any]:
    """What the containers of MLflow's image have in common; `volume`: its databases are on one."""
    data = [{"name": "data", "mount_path": "/data"}] if volume else []
    return {
        "image": image,
        "security_context": hardening.CONTAINER,
        "resources": hardening.resources(
            cpu="50m", memory="384Mi", cpu_limit="2", memory_limit="1Gi"
        ),
        "termination_message_policy": "FallbackToLogsOnError",
        "env": [
            {"name": "HOME", "value": _HOME},
            {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"},
        ],
        "volume_mounts": [
            *data,
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
            {"name": "home", "mount_path": _HOME},
        ],
    }


def keys_file(keys: Keys | None) -> dict[str, pulumi.Output[str]]:
    """What a Secret holds of a store's keys: a file as boto3 reads them, or nothing."""
    if keys is None:
        return {}
    text = "[default]\naws_access_key_id = {0}\naws_secret_access_key = {1}\n"
    return {"aws": pulumi.Output.format(text, keys.access, keys.secret)}


def server(
    *,
    image: pulumi.Input[str],
    databases: Databases,
    artifacts: ArtifactStore,
    files: pulumi.Input[str],
    host: str,
    hosts: Sequence[str],
) -> k8s.core.v1.ContainerArgsDict:
    """The container that answers as `host`, and in the cluster as any of `hosts`.

    `files` is the Secret with auth.ini, csrf-key and, where the store has keys, aws.
    """
    common = process(image, volume=databases.claim is not None)
    health: k8s.core.v1.HTTPGetActionArgsDict = {
        "path": "/health",
        "port": "http",
        "http_headers": [{"name": "Host", "value": host}],
    }
    settings: dict[str, pulumi.Input[str]] = {
        "MLFLOW_AUTH_CONFIG_PATH": f"{SECRETS}/auth.ini",
        "AWS_DEFAULT_REGION": artifacts.region,
        "MLFLOW_S3_ENDPOINT_URL": artifacts.endpoint,
        # A route for which MLflow has no rule is refused; as of 3.17 that is its own default, too.
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Its assistant runs commands for whoever may ask it.
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        # Clients add the port or leave it out.
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(
            f"{each}{port}" for each in (host, *hosts) for port in ("", ":80", ":443")
        ),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"http://{host},https://{host}",
        "MLFLOW_SERVER_X_FRAME_OPTIONS": "DENY",
    }
    if artifacts.keys is not None:
        settings["AWS_SHARED_CREDENTIALS_FILE"] = f"{SECRETS}/aws"
    # The server takes this one from the environment and nowhere else.
    csrf: k8s.core.v1.EnvVarSourceArgsDict = {"secret_key_ref": {"name": files, "key": "csrf-key"}}
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": key, "value": value} for key, value in settings.items()
    ]
    return {
        **common,
        "name": "server",
        "args": [
            *("server", "--host", "0.0.0.0", "--port", str(_PORT)),  # noqa: S104
            *("--workers", "1"),
            *("--backend-store-uri", databases.registry),
            "--serve-artifacts",
            "--artifacts-destination",
            pulumi.Output.format("s3://{0}/mlflow", artifacts.bucket),
            *("--app-name", "basic-auth"),
            *("--expose-prometheus", "/tmp/metrics"),  # noqa: S108
        ],
        "env": [
            *common["env"],
            *environment,
            {"name": "MLFLOW_FLASK_SERVER_SECRET_KEY", "value_from": csrf},
        ],
        "ports": [{"name": "http", "container_port": _PORT}],
        # A first start took 13 to 23 s on a busy machine.
        "startup_probe": {"http_get": health, "period_seconds": 2, "failure_threshold": 60},
        "readiness_probe": {"http_get": health, "period_seconds": 5, "timeout_seconds": 5},
        "liveness_probe": {
            "http_get": health,
            "period_seconds": 20,
            "timeout_seconds": 10,
            "failure_threshold": 6,
        },
        "volume_mounts": [
            *common["volume_mounts"],
            {"name": "secrets", "mount_path": SECRETS, "read_only": True},
        ],
    }
