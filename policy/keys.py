"""What keys keep to."""

from collections.abc import Iterator

from policy.rule import Resource, Stack, rule
from policy.statements import EVERYBODY, allowing, listed, name, principals, statements

_KEY = ["Key"]
_LEAST_DAYS = 30


@rule("12", "CKV_AWS_7", "CIS AWS 3.6", kinds=_KEY)
def keys_are_turned(resource: Resource, _: Stack) -> Iterator[str]:
    """A key is replaced by a new one every year."""
    if resource.props.get("enableKeyRotation") is not True:
        yield "enableKeyRotation must be true"


@rule("13", "CKV_AWS_33", "CKV2_AWS_64", "FSBP KMS.5", kinds=_KEY)
def keys_name_who_may_use_them(resource: Resource, _: Stack) -> Iterator[str]:
    """A key has a policy, which lets nobody do everything and everybody do nothing."""
    if not resource.props.get("policy"):
        yield "policy must be given: the default lets the whole account do everything"
    for each in allowing(resource):
        if any(who == EVERYBODY for _, who in principals(each)):
            yield f"statement {name(each)} is for everybody"
        if any("*" in action for action in listed(each.get("Action"))):
            yield f"statement {name(each)} has a wildcard for its action"


@rule("14", "FSBP KMS.3", kinds=_KEY)
def keys_do_not_go_at_once(resource: Resource, _: Stack) -> Iterator[str]:
    """A key's deletion waits for 30 days, and it is in use until then."""
    if resource.props.get("deletionWindowInDays") != _LEAST_DAYS:
        yield f"deletionWindowInDays must be {_LEAST_DAYS}"
    if resource.props.get("isEnabled") is False:
        yield "isEnabled must not be false"


@rule("15", "FSBP KMS.1", "FSBP KMS.2", kinds=["RolePolicy", "Policy", "UserPolicy"])
def no_right_decrypts_everything(resource: Resource, _: Stack) -> Iterator[str]:
    """A right to decrypt names keys."""
    for each in statements(resource):
        decrypts = [a for a in listed(each.get("Action")) if a.startswith("kms:")]
        wide = [r for r in listed(each.get("Resource")) if r == "*" or r.endswith((":key/*", ":*"))]
        if decrypts and wide and each.get("Effect") == "Allow":
            yield f"statement {name(each)} is for {', '.join(wide)}"


RULES = (
    keys_are_turned,
    keys_name_who_may_use_them,
    keys_do_not_go_at_once,
    no_right_decrypts_everything,
)
