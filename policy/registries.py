"""What repositories of images keep to."""

import json
from collections.abc import Iterator

from policy.rule import Resource, Stack, at, rule
from policy.statements import EVERYBODY, allowing, name, principals

_REPOSITORY = ["Repository"]


@rule("16", "FSBP ECR.1", "CKV_AWS_163", "CIS EKS 5.1.1", kinds=_REPOSITORY)
def images_are_scanned(resource: Resource, _: Stack) -> Iterator[str]:
    """An image is scanned when it is pushed."""
    if at(resource.props, "imageScanningConfiguration.scanOnPush") is not True:
        yield "imageScanningConfiguration.scanOnPush must be true"


@rule("17", "FSBP ECR.2", "CKV_AWS_51", kinds=_REPOSITORY)
def tags_never_move(resource: Resource, _: Stack) -> Iterator[str]:
    """A tag names the same image for ever."""
    if resource.props.get("imageTagMutability") != "IMMUTABLE":
        yield f"imageTagMutability must be IMMUTABLE, is {resource.props.get('imageTagMutability')}"


@rule("18", "FSBP ECR.3", kinds=["LifecyclePolicy"])
def nothing_pinned_expires(resource: Resource, _: Stack) -> Iterator[str]:
    """What expires has no tag, and is a week old: a pinned image keeps the tag it came with."""
    given = resource.props.get("policy")
    for each in json.loads(given)["rules"] if isinstance(given, str) else ():
        chosen = each["selection"]
        if chosen.get("tagStatus") != "untagged":
            yield f"rule {each['rulePriority']} takes images that are {chosen.get('tagStatus')}"
        if chosen.get("countType") != "sinceImagePushed" or chosen.get("countNumber", 0) < 7:
            yield f"rule {each['rulePriority']} takes images that are younger than 7 days"


@rule("18b", "FSBP ECR.3", kinds=_REPOSITORY, by_others=True)
def rests_of_pushes_go(resource: Resource, stack: Stack) -> Iterator[str]:
    """A repository says when what has no tag goes."""
    if not stack.beside(resource, "LifecyclePolicy"):
        yield "no LifecyclePolicy beside it"


@rule("19", "FSBP ECR.5", "CKV_AWS_136", kinds=_REPOSITORY)
def images_are_encrypted(resource: Resource, _: Stack) -> Iterator[str]:
    """An image is encrypted with a key of the account's own."""
    found = resource.props.get("encryptionConfigurations") or []
    if not any(each.get("encryptionType") == "KMS" and each.get("kmsKey") for each in found):
        yield "encryptionConfigurations must have the type KMS and a kmsKey"


@rule("20", "CKV_AWS_32", "CIS EKS 5.1.2", kinds=["RepositoryPolicy"])
def images_are_not_public(resource: Resource, _: Stack) -> Iterator[str]:
    """A repository lets nobody in whom it does not name."""
    for each in allowing(resource):
        if any(who == EVERYBODY for _, who in principals(each)):
            yield f"statement {name(each)} is for everybody"


RULES = (
    images_are_scanned,
    tags_never_move,
    nothing_pinned_expires,
    rests_of_pushes_go,
    images_are_encrypted,
    images_are_not_public,
)
