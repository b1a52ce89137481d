"""A role of IAM's that named people take on for an hour."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.iam import Statement, document

_HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class PeopleRoleArgs:
    principals: Sequence[str]
    """ARNs of roles and users."""
    statements: Sequence[Statement]


class PeopleRole(pulumi.ComponentResource):
    """A user comes with a second factor; a role has it of whoever logged the person in."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: PeopleRoleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:PeopleRole", name, {"principals": list(args.principals)}, opts)
        child = pulumi.ResourceOptions(parent=self)
        users = [each for each in args.principals if ":user/" in each]
        roles = [each for each in args.principals if each not in users]
        role = aws.iam.Role(
            name,
            assume_role_policy=document(
                *([_trust(roles)] if roles else []),
                *([_trust(users) | _SECOND_FACTOR] if users else []),
            ),
            max_session_duration=_HOUR,
            opts=child,
        )
        aws.iam.RolePolicy(name, role=role.id, policy=document(*args.statements), opts=child)
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})


# Of a role that was taken on before, IAM tells no such thing.
_SECOND_FACTOR = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}


def _trust(principals: Sequence[str]) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": ["sts:AssumeRole"],
    }
