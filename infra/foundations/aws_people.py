"""What people may do in a stack's account: data scientists and auditors read their part."""

from collections.abc import Iterator

import pulumi

from components.bucket_access import Grant
from components.iam import Statement, allow
from components.people_role import PeopleRole, PeopleRoleArgs
from infra.account import AwsFoundation
from infra.foundations.aws_pipelines import state

_LIST = ("s3:ListBucket", "s3:ListBucketVersions")
_READ = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention")
# Prefixes of the bucket. Requests hold what people asked a model for: data scientists have no need.
_PARTS = {
    "data-scientist": ("data/", "evidence/", "manifests/", "reports/", "validations/"),
    "auditor": ("evidence/", "ledger/", "manifests/", "reports/", "requests/", "validations/"),
}


def grants(settings: AwsFoundation) -> list[Grant]:
    """What each part reads in the bucket; it writes nothing."""
    return [
        each
        for part in _named(settings)
        for each in (
            Grant(account=part, prefix=None, actions=_LIST),
            *(Grant(account=part, prefix=prefix, actions=_READ) for prefix in _PARTS[part]),
        )
    ]


def people(
    name: str,
    settings: AwsFoundation,
    data_key: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> dict[str, pulumi.Output[str]]:
    """ARNs of the roles, by part; what they see in the cluster, its own roles say."""
    return {
        part: PeopleRole(
            f"{name}-{part}s",
            PeopleRoleArgs(
                principals=who,
                statements=list(_statements(part, name, settings, data_key)),
            ),
            opts,
        ).arn
        for part, who in _named(settings).items()
    }


def _named(settings: AwsFoundation) -> dict[str, tuple[str, ...]]:
    given = {"data-scientist": settings.data_scientists, "auditor": settings.auditors}
    return {part: who for part, who in given.items() if who}


def _statements(
    part: str, name: str, settings: AwsFoundation, data_key: pulumi.Output[str]
) -> Iterator[Statement]:
    cluster = f"arn:aws:eks:{settings.region}:{settings.account}:cluster/{name}"
    yield allow(["eks:DescribeCluster"], [cluster])
    yield allow(["kms:Decrypt"], [data_key], through=f"s3.{settings.region}.amazonaws.com")
    if part == "auditor" and settings.pipelines:
        yield from state(settings.pipelines, ["s3:GetObject"])
