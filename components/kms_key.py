"""A key of KMS' for one purpose, which names who may use it and for what."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.iam import Statement, document

_USES = (
    *("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
    *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"),
)
# All that an administrator of the account needs, and nothing that reads what is encrypted.
_ADMINISTRATION = (
    *("kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ListResourceTags"),
    *("kms:GetKeyRotationStatus", "kms:EnableKeyRotation", "kms:ListKeyPolicies"),
    *("kms:EnableKey", "kms:DisableKey", "kms:UpdateKeyDescription", "kms:ListGrants"),
    *("kms:RevokeGrant", "kms:TagResource", "kms:UntagResource", "kms:CreateAlias"),
    *("kms:UpdateAlias", "kms:DeleteAlias", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"),
)


@dataclass(frozen=True, kw_only=True)
class KmsKeyArgs:
    account: str
    purpose: str
    """One sentence, shown where the account lists its keys."""
    through: Sequence[str] | None = None
    """Services by which roles of the account may use the key, if their own policies say so too:
    `s3.eu-west-1.amazonaws.com`. Empty: by any, or directly; None: no role may."""
    grants: bool = False
    """Whether such roles may have a service pass the key on to what it makes, such as a volume."""
    logs: str | None = None
    """Region whose CloudWatch encrypts groups of logs with the key."""
    keep: bool


class KmsKey(pulumi.ComponentResource):
    """Turned every year; a deletion waits for 30 days, since it loses all that is encrypted."""

    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: KmsKeyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:KmsKey", name, {"purpose": args.purpose}, opts)
        key = aws.kms.Key(
            name,
            description=args.purpose,
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=document(*_statements(args)),
            opts=pulumi.ResourceOptions(parent=self, protect=args.keep),
        )
        aws.kms.Alias(
            name,
            name=f"alias/ferry/{name}",
            target_key_id=key.key_id,
            # Deleted by itself: a key that waits for its end would keep the name for as long.
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


def _statements(args: KmsKeyArgs) -> list[Statement]:
    account = {"AWS": f"arn:aws:iam::{args.account}:root"}
    # In the policy of a key, the resource "*" is that key.
    statements: list[Statement] = [
        {
            "Sid": "Administration",
            "Effect": "Allow",
            "Principal": account,
            "Action": list(_ADMINISTRATION),
            "Resource": "*",
        }
    ]
    if args.through is not None:
        caller: dict[str, object] = {"kms:CallerAccount": args.account}
        if args.through:
            caller["kms:ViaService"] = list(args.through)
        statements.append(
            {
                "Sid": "UseByRoles",
                "Effect": "Allow",
                "Principal": account,
                "Action": list(_USES),
                "Resource": "*",
                "Condition": {"StringEquals": caller},
            }
        )
        if args.grants:
            statements.append(
                {
                    "Sid": "GrantsToServices",
                    "Effect": "Allow",
                    "Principal": account,
                    "Action": ["kms:CreateGrant"],
                    "Resource": "*",
                    "Condition": {
                        "StringEquals": caller,
                        "Bool": {"kms:GrantIsForAWSResource": "true"},
                    },
                }
            )
    if args.logs:
        groups = f"arn:aws:logs:{args.logs}:{args.account}:log-group:*"
        statements.append(
            {
                "Sid": "Logs",
                "Effect": "Allow",
                "Principal": {"Service": f"logs.{args.logs}.amazonaws.com"},
                "Action": list(_USES),
                "Resource": "*",
                "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            }
        )
    return statements
