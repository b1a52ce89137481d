"""What a stack's pipelines may do in its account: move releases, and never make rights."""

from collections.abc import Mapping, Sequence

import pulumi

from components.bucket_access import Grant
from components.deploy_roles import DeployRoles, DeployRolesArgs
from components.iam import Statement, allow
from components.repository import Repository
from infra.account import AwsFoundation, Pipelines
from infra.settings import Platform

PIPELINES = "pipelines"
_PULL = (
    *("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"),
    *("ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListImages"),
)
_PUSH = (
    *("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),
    "ecr:PutImage",
)
_KEY_USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey")


def grants() -> list[Grant]:
    """What the deploying role does in the bucket: it reads, and adds what a release leaves."""
    read = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention")
    write = ("s3:PutObject", "s3:PutObjectRetention")
    listing = ("s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning")
    return [
        Grant(account=PIPELINES, prefix=None, actions=listing),
        Grant(account=PIPELINES, prefix="", actions=read),
        *(
            Grant(account=PIPELINES, prefix=prefix, actions=write)
            for prefix in ("data/", "evidence/", "ledger/", "manifests/", "validations/")
        ),
    ]


def pipelines(
    name: str,
    platform: Platform,
    settings: AwsFoundation,
    keys: Mapping[str, pulumi.Output[str]],
    repositories: Mapping[str, Repository],
    opts: pulumi.ResourceOptions,
) -> DeployRoles | None:
    """The roles of the stack's pipelines, where its file names a repository."""
    asked = settings.pipelines
    if asked is None:
        return None
    cluster = f"arn:aws:eks:{settings.region}:{settings.account}:cluster/{name}"
    look: list[Statement] = [
        allow(["eks:DescribeCluster"], [cluster]),
        *state(asked, ["s3:GetObject"]),
    ]
    images = [each.arn for each in repositories.values()]
    deploy: list[Statement] = [
        allow(["eks:DescribeCluster"], [cluster]),
        *state(asked, ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
        allow(_KEY_USE, [asked.state_key, keys["data"]]),
        allow([*_PULL, *_PUSH], images),
        allow(["ecr:GetAuthorizationToken"], ["*"]),  # IAM knows no narrower
    ]
    return DeployRoles(
        f"{name}-pipelines",
        DeployRolesArgs(
            repository=asked.repository,
            environment=platform.environment,
            looks=look,
            deploys=deploy,
        ),
        opts,
    )


def state(asked: Pipelines, actions: Sequence[str]) -> list[Statement]:
    """The `actions` on the objects of the state, and to list them; its key is another's."""
    bucket = f"arn:aws:s3:::{asked.state_bucket}"
    return [allow(["s3:ListBucket"], [bucket]), allow(actions, [f"{bucket}/*"])]
