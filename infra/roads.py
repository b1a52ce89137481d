"""The roads of a stack: online store, each model's jobs, request log and watch."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import traffic
from components.bucket_access import BucketAccess
from components.labels import labels
from components.mlflow_logins import JOBS, MlflowLogins
from components.mlflow_server import MlflowServer
from components.model_jobs import REGISTRY, ModelJobs, ModelJobsArgs
from components.model_pod import OnlineFeatures, RequestLog
from components.model_watch import ModelWatch, ModelWatchArgs
from components.object_store import Keys
from components.online_store import PORT, OnlineStore, OnlineStoreArgs
from components.pull_secret import pull_secret
from components.volume import volume
from infra import accounts
from infra.built import built
from infra.foundations import FeatureStore, Foundation
from infra.models import Road, with_roads
from infra.settings import Settings
from infra.words import seconds

_STORE = "online-store"
_TICK = 60
"""Seconds from one look of a watch to the next, where a window is not shorter."""
_LOOKS = 4
"""In a window, at the least."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What a model's road leaves to its servers."""

    features: OnlineFeatures
    request_log: RequestLog | None


def roads(
    wanted: Settings,
    foundation: Foundation,
    bucket: BucketAccess,
    mlflow: MlflowServer,
    logins: MlflowLogins,
) -> dict[str, Lane]:
    """Everything that the models' roads need; what each model's servers have of it."""
    ways = with_roads(wanted.platform.models)
    if not ways:
        return {}
    inside = pulumi.ResourceOptions(provider=foundation.cluster)
    jobs, keep = foundation.namespaces["jobs"], wanted.platform.data.keep
    store = foundation.features or _in_the_cluster(foundation, keep=keep)
    image = built(
        "jobs",
        foundation,
        folder="app",
        dockerfile="jobs.Dockerfile",
        # Two images of a gigabyte at once overtax a small machine, and a server needs none of this.
        opts=pulumi.ResourceOptions(depends_on=[mlflow]),
    )
    environment = _environment(wanted, foundation, bucket, mlflow, logins, store)
    claim = volume("feature-registry", namespace=jobs, size="1Gi", keep=keep, opts=inside)
    login = foundation.images.docker_config_json
    pull = login and pull_secret("pull-jobs", namespace=jobs, docker_config_json=login, opts=inside)
    platform = foundation.namespaces["platform"]
    for name, road in ways.items():
        pin = wanted.pins.get(name)
        ModelJobs(
            name,
            ModelJobsArgs(
                namespace=jobs,
                image=image,
                schedule=road.schedule,
                retrain=road.retrain,
                environment=environment,
                registry_claim=claim,
                egress=[
                    *foundation.store.ways,
                    traffic.to("mlflow", platform),
                    store.way,
                ],
                pull_secret=pull,
                release=(pin.run, pin.weights) if pin else None,
            ),
            inside,
        )
        if pin and road.request_sample > 0:
            ModelWatch(
                name,
                ModelWatchArgs(
                    namespace=jobs,
                    image=image,
                    version=pin.version,
                    retraining=f"{name}-train",
                    environment=_watching(name, road, pin.version, foundation, bucket),
                    # Whoever learns of outcomes brings them from inside of the cluster.
                    callers=[foundation.namespaces["monitoring"], foundation.namespaces["models"]],
                    egress=foundation.store.ways,
                    pull_secret=pull,
                ),
                inside,
            )
    features = OnlineFeatures(
        secret=_secret(
            _STORE, foundation.namespaces["models"], {"connection": store.connection}, inside
        ),
        egress=store.way,
    )
    return {
        name: Lane(features=features, request_log=_request_log(name, road, foundation, bucket))
        for name, road in ways.items()
    }


def _in_the_cluster(foundation: Foundation, *, keep: bool) -> FeatureStore:
    namespaces = foundation.namespaces
    store = OnlineStore(
        _STORE,
        OnlineStoreArgs(
            namespace=namespaces["platform"],
            callers=[namespaces["jobs"], namespaces["models"]],
            size="1Gi",
            keep=keep,
        ),
        pulumi.ResourceOptions(provider=foundation.cluster),
    )
    way = traffic.to(_STORE, namespaces["platform"], PORT)
    return FeatureStore(connection=store.connection, way=way)


def _request_log(
    model: str, road: Road, foundation: Foundation, bucket: BucketAccess
) -> RequestLog | None:
    if road.request_sample == 0:
        return None
    store, inside = foundation.store, pulumi.ResourceOptions(provider=foundation.cluster)
    keys = _keys(store.accounts.get(accounts.server(model)))
    return RequestLog(
        sample=road.request_sample,
        bucket=bucket.bucket,
        endpoint=store.internal_endpoint,
        region=store.region,
        secret=_secret(f"{model}-request-log", foundation.namespaces["models"], keys, inside)
        if keys
        else None,
        ways=store.ways,
    )


def _watching(
    model: str, road: Road, version: int, foundation: Foundation, bucket: BucketAccess
) -> list[k8s.core.v1.EnvVarArgsDict]:
    """What a watch is told: the bucket, and nothing of MLflow or the online store."""
    window = seconds(road.window)
    plain: dict[str, pulumi.Input[str]] = {
        **_bucket(foundation, bucket),
        "MODEL_VERSION": str(version),
        "WATCH_WINDOW_SECONDS": str(window),
        "WATCH_TICK_SECONDS": str(max(1, min(_TICK, window // _LOOKS))),
        "RETRAIN_COOLDOWN_SECONDS": str(seconds(road.cooldown)),
        "JOBS_NAMESPACE": foundation.namespaces["jobs"],
    }
    keys = _keys(foundation.store.accounts.get(accounts.watch(model)))
    return _told(f"{model}-watch", foundation, plain, keys)


def _environment(
    wanted: Settings,
    foundation: Foundation,
    bucket: BucketAccess,
    mlflow: MlflowServer,
    logins: MlflowLogins,
    store: FeatureStore,
) -> list[k8s.core.v1.EnvVarArgsDict]:
    """What `ferry exec` gives on a machine, with the addresses that hold inside the cluster."""
    platform = wanted.platform
    plain: dict[str, pulumi.Input[str]] = {
        "MLFLOW_TRACKING_URI": mlflow.internal_url,
        "MLFLOW_TRACKING_USERNAME": JOBS,
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        **_bucket(foundation, bucket),
        "FERRY_STACK": platform.environment,  # whose served version is to be beaten
        "FERRY_REGISTRY": foundation.images.url,
        "FERRY_LOCK_DAYS": str(platform.data.lock_days),
        "FEATURE_REGISTRY": f"sqlite:///{REGISTRY}/features.db",
        "FERRY_STATE": REGISTRY,  # the key that signs models is made there once
    }
    hidden = {
        "MLFLOW_TRACKING_PASSWORD": logins.passwords[JOBS],
        **_keys(foundation.store.accounts.get(accounts.JOBS)),
        "ONLINE_STORE": store.connection,
    }
    return _told("jobs", foundation, plain, hidden)


def _bucket(foundation: Foundation, bucket: BucketAccess) -> dict[str, pulumi.Input[str]]:
    return {
        "AWS_ENDPOINT_URL_S3": foundation.store.internal_endpoint,
        "AWS_REGION": foundation.store.region,
        "FERRY_BUCKET": bucket.bucket,
    }


def _keys(keys: Keys | None) -> dict[str, pulumi.Output[str]]:
    if keys is None:
        return {}
    return {"AWS_ACCESS_KEY_ID": keys.access, "AWS_SECRET_ACCESS_KEY": keys.secret}


def _told(
    name: str,
    foundation: Foundation,
    plain: Mapping[str, pulumi.Input[str]],
    hidden: Mapping[str, pulumi.Output[str]],
) -> list[k8s.core.v1.EnvVarArgsDict]:
    """The variables of a pod in the jobs' namespace; those `hidden` by way of a Secret."""
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": variable, "value": value} for variable, value in plain.items()
    ]
    if not hidden:
        return environment
    inside = pulumi.ResourceOptions(provider=foundation.cluster)
    secret = _secret(name, foundation.namespaces["jobs"], hidden, inside)
    return environment + [
        {"name": variable, "value_from": {"secret_key_ref": {"name": secret, "key": variable}}}
        for variable in hidden
    ]


def _secret(
    name: str,
    namespace: pulumi.Input[str],
    content: Mapping[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of a Secret with `content`."""
    secret = k8s.core.v1.Secret(
        f"{name}-connection",
        metadata={"namespace": namespace, "labels": labels(name)},
        string_data=dict(content),
        opts=opts,
    )
    return secret.metadata["name"]
