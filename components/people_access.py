"""What groups of people may look at in a stack's namespaces; none of them changes anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.access import WATCH, rule
from components.labels import labels

_Rules = Sequence[k8s.rbac.v1.PolicyRuleArgsDict]

_RUNS = [
    rule("batch", ["jobs", "cronjobs"], WATCH),
    rule("", ["pods", "events"], WATCH),
    rule("events.k8s.io", ["events"], WATCH),
    rule("", ["pods/log"], ["get"]),
]
_SERVED = [
    *_RUNS,
    rule("apps", ["deployments", "replicasets"], WATCH),
    rule("autoscaling", ["horizontalpodautoscalers"], WATCH),
    rule("argoproj.io", ["rollouts", "analysisruns"], WATCH),
]
# Neither what a log says nor what a ConfigMap or a Secret holds: how it is set up, and who may.
_SET_UP = [
    rule("", ["pods", "services", "serviceaccounts", "events"], WATCH),
    rule("", ["resourcequotas", "limitranges", "persistentvolumeclaims"], WATCH),
    rule("events.k8s.io", ["events"], WATCH),
    rule("apps", ["deployments", "statefulsets", "daemonsets", "replicasets"], WATCH),
    rule("batch", ["jobs", "cronjobs"], WATCH),
    rule("argoproj.io", ["rollouts", "analysisruns", "analysistemplates"], WATCH),
    rule("autoscaling", ["horizontalpodautoscalers"], WATCH),
    rule("policy", ["poddisruptionbudgets"], WATCH),
    rule("networking.k8s.io", ["networkpolicies", "ingresses"], WATCH),
    rule("rbac.authorization.k8s.io", ["roles", "rolebindings"], WATCH),
]


@dataclass(frozen=True, kw_only=True)
class PeopleAccessArgs:
    namespaces: Mapping[str, pulumi.Input[str]]
    """By role: platform, monitoring, models, jobs."""
    data_scientists: str
    auditors: str
    """Groups: whoever logs people in says who is in them."""


class PeopleAccess(pulumi.ComponentResource):
    """Data scientists see how jobs and models run, auditors how all is set up."""

    def __init__(
        self, name: str, args: PeopleAccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:cluster:PeopleAccess", name, {}, opts)
        for role, rules in (("jobs", _RUNS), ("models", _SERVED)):
            self._bound(
                f"data-scientists-{role}", args.namespaces[role], rules, args.data_scientists
            )
        for role, namespace in args.namespaces.items():
            self._bound(f"auditors-{role}", namespace, _SET_UP, args.auditors)
        self.register_outputs({})

    def _bound(self, name: str, namespace: pulumi.Input[str], rules: _Rules, group: str) -> None:
        child = pulumi.ResourceOptions(parent=self)
        inside: k8s.meta.v1.ObjectMetaArgsDict = {"namespace": namespace, "labels": labels(name)}
        role = k8s.rbac.v1.Role(name, metadata=inside, rules=list(rules), opts=child)
        kind = "rbac.authorization.k8s.io"
        k8s.rbac.v1.RoleBinding(
            name,
            metadata=inside,
            role_ref={"api_group": kind, "kind": "Role", "name": role.metadata["name"]},
            subjects=[{"api_group": kind, "kind": "Group", "name": group}],
            opts=child,
        )
