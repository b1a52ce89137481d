"""An existing Kubernetes, with the store and the registry that no cloud gives it."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import traffic
from components.image import ImageRegistry
from components.object_store import ObjectStore, ObjectStoreArgs
from components.registry import Registry, RegistryArgs
from components.traffic import Gateway
from infra.accounts import accounts
from infra.foundations import Foundation, Images, Store
from infra.namespaces import namespaces
from infra.settings import ClusterFoundation, Platform


def cluster(platform: Platform, settings: ClusterFoundation, gateway: Gateway) -> Foundation:
    """The kubeconfig is the one that kubectl would take: no file of its own, no secret."""
    provider = k8s.Provider(
        "cluster",
        context=settings.context,
        # What a killed update made and did not record is taken over: workloads have names of their
        # own, since a second one beside the first would get half of its requests.
        upsert_existing_objects=True,
    )
    inside = pulumi.ResourceOptions(provider=provider)
    roles = namespaces(platform.environment, inside)
    keep = platform.data.keep

    store = ObjectStore(
        "object-store",
        ObjectStoreArgs(
            namespace=roles["platform"],
            gateway=gateway,
            callers=[roles[role] for role in ("platform", "jobs", "models", "monitoring")],
            size="20Gi",
            keep=keep,
            accounts=accounts(platform),
        ),
        inside,
    )
    registry = Registry(
        "registry",
        RegistryArgs(
            namespace=roles["platform"],
            gateway=gateway,
            monitoring=roles["monitoring"],
            size="20Gi",
            keep=keep,
        ),
        inside,
    )
    return Foundation(
        cluster=provider,
        namespaces=roles,
        store=Store(
            provider=aws.Provider(
                "object-store",
                endpoints=[{"s3": store.endpoint}],
                access_key=store.root.access,
                secret_key=store.root.secret,
                region=store.region,
                s3_use_path_style=True,
                skip_credentials_validation=True,
                skip_metadata_api_check=True,
                skip_region_validation=True,
                skip_requesting_account_id=True,
            ),
            endpoint=store.endpoint,
            internal_endpoint=store.internal_endpoint,
            region=store.region,
            root=store.root,
            accounts=store.accounts,
            principals={name: keys.access for name, keys in store.accounts.items()},
            ways=[traffic.to("object-store", roles["platform"])],
            lives_in=store,
        ),
        images=Images(
            registry=ImageRegistry(
                host=registry.host, username=registry.username, password=registry.password
            ),
            url=registry.url,
            docker_config_json=registry.docker_config_json,
        ),
        answering={
            "object-store": pulumi.Output.format("{0}/health", store.internal_endpoint),
            "registry": pulumi.Output.format("{0}/", registry.internal_url),
        },
        metrics={"registry": "debug"},
    )
