"""Roles that a repository's pipelines take on by a token of GitHub's: one looks, one deploys."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.iam import Statement, document

_ISSUER = "token.actions.githubusercontent.com"


@dataclass(frozen=True, kw_only=True)
class DeployRolesArgs:
    repository: str
    """Of the pipelines: `owner/name`."""
    environment: str
    """The environment whose jobs deploy; those of `<environment>-preview` look."""
    looks: Sequence[Statement]
    deploys: Sequence[Statement]


class DeployRoles(pulumi.ComponentResource):
    """No key is kept anywhere: a token names repository and environment, and holds minutes."""

    preview: pulumi.Output[str]
    deploy: pulumi.Output[str]
    """ARNs."""

    def __init__(
        self, name: str, args: DeployRolesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        recorded = {"repository": args.repository, "environment": args.environment}
        super().__init__("ferry:aws:DeployRoles", name, recorded, opts)
        issuer = aws.iam.OpenIdConnectProvider(
            name,
            url=f"https://{_ISSUER}",
            client_id_lists=["sts.amazonaws.com"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        of = f"repo:{args.repository}:environment:{args.environment}"
        self.preview = self._role(f"{name}-preview", issuer.arn, f"{of}-preview", args.looks)
        self.deploy = self._role(f"{name}-deploy", issuer.arn, of, args.deploys)
        self.register_outputs({"preview": self.preview, "deploy": self.deploy})

    def _role(
        self,
        name: str,
        issuer: pulumi.Input[str],
        subject: str,
        statements: Sequence[Statement],
    ) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        claims = {f"{_ISSUER}:aud": "sts.amazonaws.com", f"{_ISSUER}:sub": subject}
        role = aws.iam.Role(
            name,
            assume_role_policy=document(
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": issuer},
                    "Action": ["sts:AssumeRoleWithWebIdentity"],
                    "Condition": {"StringEquals": claims},
                }
            ),
            max_session_duration=3600,
            opts=child,
        )
        aws.iam.RolePolicy(name, role=role.id, policy=document(*statements), opts=child)
        return role.arn
