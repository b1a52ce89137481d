"""The platform, top to bottom. Reading this file is reading the architecture."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.bucket import Bucket, BucketArgs
from components.bucket_access import BucketAccess, BucketAccessArgs
from components.bucket_guard import guard
from components.bucket_replica import BucketReplica, BucketReplicaArgs
from components.delivery import How
from components.mlflow_database import Volume
from components.mlflow_logins import MlflowLogins
from components.mlflow_server import MlflowServer, MlflowServerArgs
from components.model_service import ModelService, ModelServiceArgs
from components.monitoring import Monitoring
from components.pull_secret import pull_secret
from components.traffic import Gateway
from infra import accounts, outputs, settings, unbuilt
from infra.account import AwsFoundation
from infra.backups import artifacts, backups
from infra.deliveries import deliveries
from infra.foundations import Foundation
from infra.foundations.cluster import cluster
from infra.monitoring import monitoring
from infra.namespaces import named
from infra.people import people
from infra.roads import Lane, roads
from infra.settings import ClusterFoundation, Platform, Settings, SettingsError

# Nothing pins what is under these; evidence, data, labels and the ledger stay for good.
_PASSING = ("mlflow/", "requests/", "reports/")


def main() -> None:
    try:
        wanted = settings.load()
        stands_on = unbuilt.refuse(wanted, f"Pulumi.{pulumi.get_stack()}.yaml")
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    platform = wanted.platform
    gateway, foundation = _foundation(wanted, stands_on)
    bucket = _bucket(platform, foundation)
    mlflow = _mlflow(platform, foundation, gateway, bucket)
    backups(platform, foundation, bucket, mlflow)
    logins = people(platform, foundation, mlflow)
    lanes = roads(wanted, foundation, bucket, mlflow, logins)
    watching = monitoring(wanted, foundation, gateway, mlflow)
    how = deliveries(wanted, foundation, watching.internal_url)
    models = _models(wanted, foundation, gateway, lanes, how)
    _export(platform, foundation, bucket, mlflow, logins, watching, models)


def _foundation(
    wanted: Settings, stands_on: ClusterFoundation | AwsFoundation
) -> tuple[Gateway, Foundation]:
    """What lets requests in, and all else that the stack stands on."""
    platform = wanted.platform
    if isinstance(stands_on, AwsFoundation):
        # A third of all that the program would import.
        from infra.foundations.aws import account, balancer

        gateway = balancer(platform, stands_on)
        return gateway, account(wanted, stands_on)
    gateway = Gateway(
        class_name=platform.ingress.class_name,
        domain=platform.ingress.domain,
        namespace=platform.ingress.namespace,
    )
    return gateway, cluster(platform, stands_on, gateway)


def _bucket(platform: Platform, foundation: Foundation) -> BucketAccess:
    """The bucket, closed to all but its accounts, each of which may do its part."""
    store, name = foundation.store, f"ferry-{platform.environment}"
    opts = pulumi.ResourceOptions(provider=store.provider, deleted_with=store.lives_in)
    bucket = Bucket(
        name,
        BucketArgs(
            keep=platform.data.keep,
            lock_days=platform.data.lock_days,
            passing=_PASSING,
            key=store.s3.key if store.s3 else None,
            lacks=frozenset(platform.object_store.lacks),
        ),
        opts,
    )
    if store.s3:
        guard(name, bucket=bucket.name, log_bucket=store.s3.log_bucket, opts=opts)
        if store.s3.replica:
            BucketReplica(
                name,
                BucketReplicaArgs(
                    account=store.s3.account,
                    region=store.region,
                    bucket=bucket.name,
                    key=store.s3.key,
                    copies=store.s3.replica.bucket,
                    copies_key=store.s3.replica.key,
                ),
                opts,
            )
    return BucketAccess(
        name,
        BucketAccessArgs(
            bucket=bucket.name,
            grants=[*accounts.grants(platform), *(store.s3.grants if store.s3 else ())],
            principals=store.principals,
            tls=store.s3 is not None,
        ),
        opts,
    )


def _mlflow(
    platform: Platform, foundation: Foundation, gateway: Gateway, bucket: BucketAccess
) -> MlflowServer:
    namespace, store = foundation.namespaces["platform"], foundation.store
    inside = pulumi.ResourceOptions(provider=foundation.cluster)
    return MlflowServer(
        "mlflow",
        MlflowServerArgs(
            namespace=namespace,
            namespace_name=named(platform.environment, "platform"),
            gateway=gateway,
            callers=[foundation.namespaces["monitoring"], foundation.namespaces["jobs"]],
            registry=foundation.images.registry,
            artifacts=artifacts(store, bucket, accounts.MLFLOW),
            database=foundation.postgres or Volume(size="10Gi", keep=platform.data.keep),
            pull_secret=_pull_secret("platform", foundation),
        ),
        inside,
    )


def _models(
    wanted: Settings,
    foundation: Foundation,
    gateway: Gateway,
    lanes: Mapping[str, Lane],
    delivered: Mapping[str, How],
) -> dict[str, dict[str, Any]]:
    """Every pinned model, serving; what the stack tells of each."""
    namespace = foundation.namespaces["models"]
    inside = pulumi.ResourceOptions(provider=foundation.cluster)
    pull = _pull_secret("models", foundation)
    served = {}
    for name, pin in sorted(wanted.pins.items()):
        how, lane = wanted.model(name), lanes.get(name)
        image = pulumi.Output.format(
            "{0}/{1}@{2}", foundation.images.registry.host, name, pin.image
        )
        model = ModelService(
            name,
            ModelServiceArgs(
                namespace=namespace,
                gateway=gateway,
                monitoring=foundation.namespaces["monitoring"],
                image=image,
                version=pin.version,
                weights=pin.weights,
                signer=pin.signer,
                pull_secret=pull,
                features=lane.features if lane else None,
                request_log=lane.request_log if lane else None,
                minimum=how.scaling.minimum,
                maximum=how.scaling.maximum,
                cpu_percent=how.scaling.cpu_percent,
                cpu=how.resources.cpu,
                memory=how.resources.memory,
                gpu=how.resources.gpu,
                delivery=delivered.get(name),
            ),
            inside,
        )
        served[name] = {
            "url": model.url,
            "grpcUrl": model.grpc_url,
            "namespace": namespace,
            "rollout": model.rollout,
            "release": {
                "version": pin.version,
                "image": pin.image,
                "weights": pin.weights,
                "evidence": pin.evidence,
            },
        }
    return served


def _pull_secret(role: str, foundation: Foundation) -> pulumi.Output[str] | None:
    login = foundation.images.docker_config_json
    return login and pull_secret(
        f"pull-{role}",
        namespace=foundation.namespaces[role],
        docker_config_json=login,
        opts=pulumi.ResourceOptions(provider=foundation.cluster),
    )


def _export(
    platform: Platform,
    foundation: Foundation,
    bucket: BucketAccess,
    mlflow: MlflowServer,
    logins: MlflowLogins,
    watching: Monitoring,
    models: dict[str, dict[str, Any]],
) -> None:
    store, images, screens = foundation.store, foundation.images, watching.grafana
    registry = images.registry
    outputs.export(
        environment=platform.environment,
        namespaces=foundation.namespaces,
        bucket={"name": bucket.bucket, "endpoint": store.endpoint, "region": store.region},
        registry={"url": foundation.images.url},
        mlflow={"url": mlflow.url, "internalUrl": mlflow.internal_url},
        prometheus={"url": watching.url},
        alertmanager={"url": watching.alertmanager_url},
        models=models,
        **({"grafana": {"url": screens.url}} if screens else {}),
        secret={
            "objectStore": {"accessKey": store.root.access, "secretKey": store.root.secret}
            if store.root
            else None,
            "mlflow": {"username": mlflow.username, "password": mlflow.password},
            "people": {
                name: {"username": name, "password": logins.passwords[name]}
                for name in platform.people
            },
            "registry": {"username": registry.username, "password": registry.password}
            if images.docker_config_json is not None
            else None,
            **(
                {"grafana": {"username": screens.username, "password": screens.password}}
                if screens
                else {}
            ),
        },
    )
