"""Documents of IAM's: who may do what, as the JSON that roles, keys and policies take."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Statement = Mapping[str, Any]
"""With Action, Resource and the like; values may be outputs."""


def allow(
    actions: Sequence[str], resources: Sequence[pulumi.Input[str]], *, through: str | None = None
) -> Statement:
    """The statement; `through` is the service, as KMS names it, that alone may use a key for it."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if through is None:
        return statement
    return {**statement, "Condition": {"StringEquals": {"kms:ViaService": through}}}


def document(*statements: Statement) -> pulumi.Output[str]:
    """The policy of these statements."""
    for each in statements:
        _spelt_out(each)
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting(
    service: str, *actions: str, conditions: Mapping[str, Any] | None = None
) -> pulumi.Output[str]:
    """The trust of a role that one of Amazon's services takes on."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", *actions],
    }
    return document(statement | ({"Condition": conditions} if conditions else {}))


def _spelt_out(statement: Statement) -> None:
    """Raises ValueError for an action with a wildcard: what it means changes without us."""
    action = statement.get("Action", ())
    for each in [action] if isinstance(action, str) else action:
        if "*" in each:
            raise ValueError(f"need actions that are spelt out, got {each!r}")
