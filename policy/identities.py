"""What roles of IAM's keep to."""

import re
from collections.abc import Iterator

from policy.exceptions import UNBOUND
from policy.rule import Props, Resource, Stack, rule
from policy.statements import (
    EVERYBODY,
    allowing,
    conditions,
    listed,
    name,
    principals,
    statements,
)

_POLICIES = ("RolePolicy", "Policy", "UserPolicy", "GroupPolicy")
_MIGHTY = (
    "AdministratorAccess",
    "PowerUserAccess",
    "IAMFullAccess",
    "FullAccess",
    "ReadOnlyAccess",
)
# By which one gets rights that one was not given.
_ESCALATING = {
    *("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:AttachRolePolicy"),
    *("iam:AttachUserPolicy", "iam:AttachGroupPolicy", "iam:PutRolePolicy", "iam:PutUserPolicy"),
    *("iam:PutGroupPolicy", "iam:UpdateAssumeRolePolicy", "iam:CreateAccessKey"),
    *("iam:CreateLoginProfile", "iam:UpdateLoginProfile", "iam:AddUserToGroup", "iam:PassRole"),
    *("iam:DeleteRolePermissionsBoundary", "eks:CreateAccessEntry", "eks:AssociateAccessPolicy"),
    *("eks:CreatePodIdentityAssociation", "eks:UpdatePodIdentityAssociation"),
}
_ONE = re.compile(r"arn:aws:iam::\d{12}:(role|user)/[\w+=,.@/-]+")
_TAG = "aws:RequestTag/kubernetes-"


@rule("28", "CIS EKS 5.2.1", kinds=["PodIdentityAssociation"], by_others=True)
def a_pods_role_is_that_pods_alone(resource: Resource, stack: Stack) -> Iterator[str]:
    """The role of a pod is taken on by accounts of one namespace in one cluster, by name."""
    trusted = [
        each
        for role in stack.beside(resource, "Role")
        for each in allowing(role, "assumeRolePolicy")
    ]
    wanted = {
        f"{_TAG}namespace": resource.props.get("namespace"),
        f"{_TAG}service-account": resource.props.get("serviceAccount"),
    }
    if not trusted:
        yield "no Role beside it"
    for each in trusted:
        found = conditions(each)
        for key, value in wanted.items():
            if value not in found.get(key, ()):
                yield f"its role's trust must have {key} {value}"
        if not found.get("aws:SourceArn") or EVERYBODY in found["aws:SourceArn"]:
            yield "its role's trust must name the cluster as aws:SourceArn"


@rule("29", "FSBP IAM.1", "FSBP IAM.21", "CKV_AWS_62", "CKV_AWS_355", kinds=_POLICIES)
def rights_name_actions_and_resources(resource: Resource, _: Stack) -> Iterator[str]:
    """A right of IAM's names actions and resources, and is not for all but some."""
    for each in allowing(resource):
        if any("*" in action for action in listed(each.get("Action"))):
            yield f"statement {name(each)} has a wildcard for its action"
        if (
            EVERYBODY in listed(each.get("Resource"))
            and set(listed(each["Action"])) - UNBOUND.keys()
        ):
            yield f"statement {name(each)} is for every resource"
        for key in ("NotAction", "NotResource"):
            if key in each:
                yield f"statement {name(each)} has {key}"


@rule("29b", "CKV_AWS_286", "CKV_AWS_289", kinds=_POLICIES)
def no_right_makes_rights(resource: Resource, _: Stack) -> Iterator[str]:
    """No right of IAM's makes, gives or hands on rights."""
    for each in statements(resource):
        found = sorted(_ESCALATING & set(listed(each.get("Action"))))
        if found and each.get("Effect") == "Allow":
            yield f"a statement allows {', '.join(found)}"


@rule("29c", "CKV_AWS_274", "CKV_AWS_275", "CIS EKS 5.1.3", kinds=["RolePolicyAttachment"])
def no_role_is_mighty(resource: Resource, _: Stack) -> Iterator[str]:
    """No role has one of Amazon's policies for administrators, or for all of a service."""
    found = str(resource.props.get("policyArn"))
    if found.endswith(_MIGHTY):
        yield f"policyArn is {found}"


@rule("30", "CKV_AWS_60", "CKV_AWS_61", kinds=["Role"])
def roles_say_who_takes_them_on(resource: Resource, _: Stack) -> Iterator[str]:
    """A role is taken on by services, people with a second factor or tokens that it spells out."""
    if not resource.type.startswith("aws:iam/"):
        return
    for each in allowing(resource, "assumeRolePolicy"):
        for kind, who in principals(each):
            if who == EVERYBODY:
                yield f"statement {name(each)} is for everybody"
            elif kind == "AWS":
                yield from _one(each, who)
            elif kind == "Federated":
                yield from _spelt_out(each)


def _one(statement: Props, who: str) -> Iterator[str]:
    """A role has its second factor of whoever logged the person in; of a user, IAM tells it."""
    if not _ONE.fullmatch(who):
        yield f"statement {name(statement)} is for {who}, which is no role and no user by name"
    elif ":user/" in who and conditions(statement).get("aws:MultiFactorAuthPresent") != ["true"]:
        yield f"statement {name(statement)} must ask {who} for a second factor"


def _spelt_out(statement: Props) -> Iterator[str]:
    found = {key.rpartition(":")[2]: values for key, values in conditions(statement).items()}
    for claim in ("sub", "aud"):
        if not found.get(claim) or any("*" in str(value) for value in found[claim]):
            yield f"statement {name(statement)} must spell out the token's {claim}"


RULES = (
    a_pods_role_is_that_pods_alone,
    rights_name_actions_and_resources,
    no_right_makes_rights,
    no_role_is_mighty,
    roles_say_who_takes_them_on,
)
