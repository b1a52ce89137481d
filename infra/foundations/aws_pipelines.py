"""What a stack's pipelines may do in its account: move releases, and never make rights."""

from collections.abc import Mapping, Sequence

import pulumi

from components.bucket_access import Grant
from components.deploy_roles import DeployRoles, DeployRolesArgs
from components.iam import Statement
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
        _allow(["eks:DescribeCluster"], [cluster]),
        *_state(asked, ["s3:GetObject"]),
    ]
    images = [each.arn for each in repositories.values()]
    deploy: list[Statement] = [
        _allow(["eks:DescribeCluster"], [cluster]),
        *_state(asked, ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
        _allow(_KEY_USE, [asked.state_key, keys["data"]]),
        _allow([*_PULL, *_PUSH], images),
        _allow(["ecr:GetAuthorizationToken"], ["*"]),  # IAM knows no narrower
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


def _state(asked: Pipelines, actions: Sequence[str]) -> list[Statement]:
    bucket = f"arn:aws:s3:::{asked.state_bucket}"
    return [_allow(["s3:ListBucket"], [bucket]), _allow(actions, [f"{bucket}/*"])]


def _allow(actions: Sequence[str], resources: Sequence[pulumi.Input[str]]) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
