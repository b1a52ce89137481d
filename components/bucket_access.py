"""Who may do what below which prefix of a bucket: its policy, a statement for each of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.bucket_guard import tls_alone


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The `actions` of `account` on the objects below `prefix`; on the bucket itself where None."""

    account: str
    prefix: str | None
    actions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BucketAccessArgs:
    bucket: pulumi.Input[str]
    grants: Sequence[Grant]
    principals: Mapping[str, pulumi.Input[str]]
    """By account, what the store knows it by: a role's ARN in S3, an access key in VersityGW."""
    tls: bool = False
    """Whether the store has TLS, so that whoever comes without can be refused."""


class BucketAccess(pulumi.ComponentResource):
    """What no grant names is refused to everybody but the store's root."""

    bucket: pulumi.Output[str]
    """The bucket's name, known when the policy holds."""

    def __init__(
        self, name: str, args: BucketAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:storage:BucketAccess", name, {"grants": len(args.grants)}, opts)
        known = {account: args.principals[account] for account in sorted(args.principals)}
        document = pulumi.Output.all(args.bucket, known).apply(
            lambda values: policy(values[0], args.grants, values[1], tls=args.tls)
        )
        held = aws.s3.BucketPolicy(
            name,
            bucket=args.bucket,
            policy=document,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket = held.bucket
        self.register_outputs({"bucket": self.bucket})


def policy(
    bucket: str, grants: Sequence[Grant], principals: Mapping[str, str], *, tls: bool = False
) -> str:
    """The policy document: no conditions but that of `tls`, since not every store reads them."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": [principals[grant.account]]},
                    "Action": list(grant.actions),
                    "Resource": f"arn:aws:s3:::{bucket}"
                    + ("" if grant.prefix is None else f"/{grant.prefix}*"),
                }
                for grant in grants
            ]
            + ([tls_alone(bucket)] if tls else []),
        }
    )
