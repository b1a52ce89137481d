"""What an account may do with Kubernetes itself."""

from collections.abc import Iterator

from policy.rule import Resource, Stack, at, rule

_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
# Verbs that make an account as mighty as another.
_ESCALATING = {"bind", "escalate", "impersonate"}
# Resources by which one gets at more than is written: with any verb, or with these.
_DANGEROUS: dict[str, set[str]] = {
    "pods/exec": {"create", "get"},
    "pods/attach": {"create", "get"},
    "nodes/proxy": {"create", "get"},
    "serviceaccounts/token": {"create"},
    "validatingwebhookconfigurations": {"create", "update", "patch", "delete"},
    "mutatingwebhookconfigurations": {"create", "update", "patch", "delete"},
    "certificatesigningrequests/approval": {"update", "patch"},
}


@rule("56", "CIS 4.1.3", "CKV_K8S_49", "NSA C-0035", kinds=_ROLES)
def rights_are_spelt_out(resource: Resource, _: Stack) -> Iterator[str]:
    """A role names verbs, resources and API groups: no wildcard."""
    for each in resource.props.get("rules") or ():
        for key in ("verbs", "resources", "apiGroups", "nonResourceURLs"):
            if "*" in (each.get(key) or ()):
                yield f"a rule has the wildcard in {key}"


@rule("56b", "CIS 4.1.1", "KubeLinter cluster-admin-role-binding", kinds=_BINDINGS)
def nobody_is_an_administrator(resource: Resource, _: Stack) -> Iterator[str]:
    """No account gets one of the cluster's own mighty roles, and no group of all accounts any."""
    role = at(resource.props, "roleRef.name")
    if role in ("cluster-admin", "admin", "edit"):
        yield f"roleRef.name is {role}"
    for each in resource.props.get("subjects") or ():
        if str(each.get("name", "")).startswith("system:"):
            yield f"a subject is {each['name']}"


@rule("57", "CIS 4.1.4", "CIS 4.1.8-4.1.12", "CKV_K8S_155-158", kinds=_ROLES)
def no_right_leads_to_more(resource: Resource, _: Stack) -> Iterator[str]:
    """No right makes an account more than it is: no exec, tokens, webhooks, or impersonation."""
    for each in resource.props.get("rules") or ():
        verbs = set(each.get("verbs") or ())
        for verb in verbs & _ESCALATING:
            yield f"a rule has the verb {verb}"
        for name in each.get("resources") or ():
            for verb in sorted(verbs & _DANGEROUS.get(name, set())):
                yield f"a rule may {verb} {name}"


@rule("57b", "CIS 4.1.2", "CKV2_K8S_5", "KubeLinter access-to-secrets", kinds=["ClusterRole"])
def no_account_reads_the_secrets_of_all(resource: Resource, _: Stack) -> Iterator[str]:
    """A right over Secrets holds in one namespace, never in the whole cluster."""
    for each in resource.props.get("rules") or ():
        if "secrets" in (each.get("resources") or ()):
            yield f"a rule may {', '.join(each.get('verbs') or ())} secrets everywhere"


RULES = (
    rights_are_spelt_out,
    nobody_is_an_administrator,
    no_right_leads_to_more,
    no_account_reads_the_secrets_of_all,
)
