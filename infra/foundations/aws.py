"""An account of Amazon's: the stack makes its own network, Kubernetes, store and registry."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.budget import Budget, BudgetArgs
from components.eks_cluster import EksCluster, EksClusterArgs
from components.image import ImageRegistry
from components.kms_key import KmsKey, KmsKeyArgs
from components.log_bucket import LogBucket, LogBucketArgs
from components.network import Network, NetworkArgs, subnets
from components.repository import Repository, RepositoryArgs
from components.traffic import Addresses, Gateway
from infra.account import AwsFoundation
from infra.foundations import S3, Foundation, Images, Store
from infra.foundations.aws_databases import database, features, postgres, rights
from infra.foundations.aws_inside import SERVICES, inside_the_cluster
from infra.foundations.aws_people import grants as grants_of_people
from infra.foundations.aws_people import people
from infra.foundations.aws_pipelines import PIPELINES, grants, pipelines
from infra.foundations.aws_roles import ways, workload_roles
from infra.models import with_roads
from infra.people import group
from infra.settings import Platform, Settings

_LOG_DAYS = 365
_ALB = "alb.ingress.kubernetes.io"


def balancer(platform: Platform, settings: AwsFoundation) -> Gateway:
    """The load balancers that EKS makes: requests come from the small subnets that they have."""
    _, doors = subnets(settings.cidr, len(settings.zones))
    common = {
        f"{_ALB}/target-type": "ip",
        f"{_ALB}/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
    }
    return Gateway(
        class_name=platform.ingress.class_name,
        domain=platform.ingress.domain,
        namespace=Addresses(tuple(doors)),
        # A server is well that asks for a login.
        annotations={**common, f"{_ALB}/success-codes": "200-401"},
        grpc_annotations={
            **common,
            f"{_ALB}/backend-protocol-version": "GRPC",
            f"{_ALB}/listen-ports": '[{"HTTPS": 443}]',
            f"{_ALB}/success-codes": "0-99",
        },
    )


def account(wanted: Settings, settings: AwsFoundation) -> Foundation:
    """No answer of the account's is needed to plan it: its first preview finds nothing there."""
    platform = wanted.platform
    name, keep = f"ferry-{platform.environment}", platform.data.keep
    provider = aws.Provider(
        "aws",
        region=settings.region,
        allowed_account_ids=[settings.account],
        default_tags={"tags": {"ferry:environment": platform.environment}},
    )
    inside = pulumi.ResourceOptions(provider=provider)
    keys = _keys(name, platform, settings, inside)
    zones = [f"{settings.region}{letter}" for letter in settings.zones]
    network = Network(
        name,
        NetworkArgs(
            region=settings.region,
            account=settings.account,
            zones=zones,
            cidr=settings.cidr,
            log_key=keys["logs"],
            log_days=_LOG_DAYS,
        ),
        inside,
    )
    repositories = {
        each: Repository(each, RepositoryArgs(key=keys["images"], keep=keep), inside)
        for each in _images(platform)
    }
    deploying = pipelines(name, platform, settings, keys, repositories, inside)
    parts = people(name, settings, keys["data"], inside)
    cluster = EksCluster(
        name,
        EksClusterArgs(
            version=settings.version,
            region=settings.region,
            subnets=network.private_subnets,
            services=SERVICES,
            public_cidrs=settings.public_cidrs,
            secrets_key=keys["secrets"],
            volumes_key=keys["volumes"],
            log_key=keys["logs"],
            log_days=_LOG_DAYS,
            access={
                **{
                    role.rpartition("/")[2]: (role, "ClusterAdmin")
                    for role in settings.administrators
                },
                **({"deploy": (deploying.deploy, "ClusterAdmin")} if deploying else {}),
                **({"preview": (deploying.preview, "View")} if deploying else {}),
            },
            groups={group(platform.environment, part): role for part, role in parts.items()},
            keep=keep,
        ),
        inside,
    )
    kubernetes = k8s.Provider(
        "cluster",
        kubeconfig=cluster.kubeconfig,
        # By which the provider is still the same when the kubeconfig is another.
        cluster_identifier=cluster.arn,
        upsert_existing_objects=True,  # see infra/foundations/cluster.py
    )
    namespaces = inside_the_cluster(
        wanted, settings, keys["volumes"], pulumi.ResourceOptions(provider=kubernetes)
    )
    stored = database(name, platform, network, cluster, keys, inside)
    roles = workload_roles(
        platform, settings, cluster, namespaces, keys["data"], rights(settings, stored), inside
    )
    logs = LogBucket(
        f"{name}-access-logs",
        LogBucketArgs(account=settings.account, days=_LOG_DAYS, keep=keep),
        inside,
    )
    if settings.budget:
        Budget(
            name,
            BudgetArgs(
                account=settings.account,
                monthly=settings.budget.monthly,
                subscribers=settings.budget.subscribers,
            ),
            inside,
        )
    store = f"https://s3.{settings.region}.amazonaws.com"
    return Foundation(
        cluster=kubernetes,
        namespaces=namespaces,
        store=Store(
            provider=provider,
            endpoint=pulumi.Output.from_input(store),
            internal_endpoint=pulumi.Output.from_input(store),
            region=settings.region,
            root=None,
            accounts={},
            principals=roles | parts | ({PIPELINES: deploying.deploy} if deploying else {}),
            ways=ways(settings),
            lives_in=None,
            s3=S3(
                key=keys["data"],
                log_bucket=logs.name,
                grants=[*(grants() if deploying else ()), *grants_of_people(settings)],
                account=settings.account,
                replica=settings.replica,
            ),
        ),
        images=_registry(settings, repositories, provider),
        answering={},  # what is Amazon's, Amazon watches
        metrics={},
        postgres=postgres(
            settings,
            stored,
            cluster,
            namespaces["platform"],
            keys,
            roles,
            inside,
        ),
        features=features(name, platform, settings, network, cluster, keys, inside),
    )


def _keys(
    name: str, platform: Platform, settings: AwsFoundation, opts: pulumi.ResourceOptions
) -> dict[str, pulumi.Output[str]]:
    """ARNs of the keys, one for each purpose."""

    def key(what: str, **more: object) -> pulumi.Output[str]:
        args = KmsKeyArgs(account=settings.account, keep=platform.data.keep, **more)  # ty: ignore[invalid-argument-type]
        return KmsKey(f"{name}-{what}", args, opts).arn

    def service(short: str) -> str:
        return f"{short}.{settings.region}.amazonaws.com"

    keys = {
        "logs": key("logs", purpose="Logs of the network and the cluster.", logs=settings.region),
        "secrets": key("secrets", purpose="Secrets of the cluster.", through=(), grants=True),
        "volumes": key(
            "volumes", purpose="Volumes of nodes and pods.", through=[service("ec2")], grants=True
        ),
        "data": key("data", purpose="Objects in the bucket.", through=[service("s3")]),
        "images": key(
            "images", purpose="Images in the registry.", through=[service("ecr")], grants=True
        ),
    }
    if platform.mlflow.database == "rds" or platform.features.store == "elasticache":
        keys["databases"] = key(
            "databases",
            purpose="Databases and caches, their backups, and the login of a database's master.",
            through=[service(each) for each in ("rds", "secretsmanager", "elasticache")],
            grants=True,
        )
    return keys


def _images(platform: Platform) -> list[str]:
    """Names of all images that the stack pushes or serves."""
    models = platform.models
    ours = {"mlflow"}
    if with_roads(models):
        ours.add("jobs")
    if any(model.delivery.kind != "rolling" for model in models.values()):
        ours.add("analysis")
    return sorted(ours | set(models))


def _registry(
    settings: AwsFoundation, repositories: dict[str, Repository], provider: aws.Provider
) -> Images:
    """The account's own, where nothing is pushed before its repository is there."""
    login = aws.ecr.get_authorization_token_output(
        registry_id=settings.account, opts=pulumi.InvokeOutputOptions(provider=provider)
    )
    host = pulumi.Output.all(*(each.url for each in repositories.values())).apply(
        lambda urls: urls[0].partition("/")[0]
    )
    return Images(
        registry=ImageRegistry(
            host=host, username=login.user_name, password=pulumi.Output.secret(login.password)
        ),
        url=pulumi.Output.format("https://{0}", host),
        docker_config_json=None,
    )
