"""The roads of a stack's models: the online store, and the jobs of each model that has a road."""

import pulumi
import pulumi_kubernetes as k8s

from components import traffic
from components.bucket import Bucket
from components.labels import labels
from components.mlflow_server import MlflowServer
from components.model_jobs import REGISTRY, ModelJobs, ModelJobsArgs
from components.model_pod import OnlineFeatures
from components.online_store import PORT, OnlineStore, OnlineStoreArgs
from components.pull_secret import pull_secret
from components.volume import volume
from infra.built import built
from infra.foundations import Foundation
from infra.settings import Settings

_STORE = "online-store"


def roads(
    wanted: Settings, foundation: Foundation, bucket: Bucket, mlflow: MlflowServer
) -> dict[str, OnlineFeatures]:
    """Everything that the models' roads need; where each model's server finds its features."""
    ways = {name: model.road for name, model in sorted(wanted.platform.models.items())}
    scheduled = {name: road.schedule for name, road in ways.items() if road is not None}
    if not scheduled:
        return {}
    inside = pulumi.ResourceOptions(provider=foundation.cluster)
    jobs, keep = foundation.namespaces["jobs"], wanted.platform.data.keep
    store = OnlineStore(
        _STORE,
        OnlineStoreArgs(
            namespace=foundation.namespaces["platform"],
            callers=[jobs, foundation.namespaces["models"]],
            size="1Gi",
            keep=keep,
        ),
        inside,
    )
    image = built(
        "jobs",
        foundation,
        folder="app",
        dockerfile="jobs.Dockerfile",
        # Two images of a gigabyte at once overtax a small machine, and a server needs none of this.
        opts=pulumi.ResourceOptions(depends_on=[mlflow]),
    )
    environment = _environment(
        foundation, bucket, mlflow, store, lock_days=wanted.platform.data.lock_days
    )
    claim = volume("feature-registry", namespace=jobs, size="1Gi", keep=keep, opts=inside)
    pull = pull_secret(
        "pull-jobs",
        namespace=jobs,
        docker_config_json=foundation.images.docker_config_json,
        opts=inside,
    )
    platform = foundation.namespaces["platform"]
    for name, schedule in scheduled.items():
        pin = wanted.pins.get(name)
        ModelJobs(
            name,
            ModelJobsArgs(
                namespace=jobs,
                image=image,
                schedule=schedule,
                environment=environment,
                registry_claim=claim,
                egress=[
                    traffic.to("object-store", platform),
                    traffic.to("mlflow", platform),
                    traffic.to(_STORE, platform, PORT),
                ],
                pull_secret=pull,
                release=(pin.run, pin.weights) if pin else None,
            ),
            inside,
        )
    features = OnlineFeatures(
        secret=_secret(
            _STORE, foundation.namespaces["models"], {"connection": store.connection}, inside
        ),
        egress=traffic.to(_STORE, platform, PORT),
    )
    return dict.fromkeys(scheduled, features)


def _environment(
    foundation: Foundation,
    bucket: Bucket,
    mlflow: MlflowServer,
    store: OnlineStore,
    *,
    lock_days: int,
) -> list[k8s.core.v1.EnvVarArgsDict]:
    """What `ferry exec` gives on a machine, with the addresses that hold inside the cluster."""
    at = foundation.store
    plain: dict[str, pulumi.Input[str]] = {
        "MLFLOW_TRACKING_URI": mlflow.internal_url,
        "MLFLOW_TRACKING_USERNAME": mlflow.username,
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        "AWS_ENDPOINT_URL_S3": at.internal_endpoint,
        "AWS_REGION": at.region,
        "FERRY_BUCKET": bucket.name,
        "FERRY_REGISTRY": foundation.images.url,
        "FERRY_LOCK_DAYS": str(lock_days),
        "FEATURE_REGISTRY": f"sqlite:///{REGISTRY}/features.db",
        "FERRY_STATE": REGISTRY,  # the key that signs models is made there once
    }
    hidden = {
        "MLFLOW_TRACKING_PASSWORD": mlflow.password,
        "AWS_ACCESS_KEY_ID": at.access_key,
        "AWS_SECRET_ACCESS_KEY": at.secret_key,
        "ONLINE_STORE": store.connection,
    }
    inside = pulumi.ResourceOptions(provider=foundation.cluster)
    secret = _secret("jobs", foundation.namespaces["jobs"], hidden, inside)
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": name, "value": value} for name, value in plain.items()
    ]
    environment += [
        {"name": name, "value_from": {"secret_key_ref": {"name": secret, "key": name}}}
        for name in hidden
    ]
    return environment


def _secret(
    name: str,
    namespace: pulumi.Input[str],
    content: dict[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of a Secret with `content`."""
    secret = k8s.core.v1.Secret(
        f"{name}-connection",
        metadata={"namespace": namespace, "labels": labels(name)},
        string_data=content,
        opts=opts,
    )
    return secret.metadata["name"]
