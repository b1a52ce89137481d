"""Ways to break a resource, one property at a time, each with the rule that must notice."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from policy import pods
from policy.rule import Resource

GONE = object()
"""Instead of a value: the property is taken away."""

_POD = "POD"
"""In a path: the pods' spec, wherever the kind has it."""
_PLACES = {
    "Deployment": "spec.template.spec",
    "StatefulSet": "spec.template.spec",
    "DaemonSet": "spec.template.spec",
    "Job": "spec.template.spec",
    "CronJob": "spec.jobTemplate.spec.template.spec",
}


@dataclass(frozen=True)
class Mutation:
    """Sets a path to a value in every resource of the kinds; `[]` stands for every element.

    A kind that two services of Amazon's have is told by its whole type.
    """

    rule: str
    kinds: tuple[str, ...]
    path: str
    value: Any

    def __str__(self) -> str:
        value = "gone" if self.value is GONE else self.value
        return f"{self.rule}: {self.path} {value}"


def _pods(rule: str, path: str, *values: Any) -> list[Mutation]:  # noqa: ANN401 - JSON
    kinds = tuple(_PLACES)
    return [Mutation(rule, kinds, f"{_POD}.{path}", value) for value in values]


def of(rule: str, kind: str, path: str, *values: Any) -> list[Mutation]:  # noqa: ANN401 - JSON
    return [Mutation(rule, (kind,), path, value) for value in values]


_C = "containers[]"
_SECURITY = f"{_C}.securityContext"
MUTATIONS = [
    *_pods("37", "securityContext.runAsNonRoot", False, GONE),
    *_pods("37", "securityContext.runAsUser", 0, 1000, GONE),
    *_pods("37", "securityContext.runAsGroup", 0, 10000, GONE),
    *_pods("37", f"{_SECURITY}.runAsUser", 0),
    *_pods("38", f"{_SECURITY}.allowPrivilegeEscalation", True, GONE),
    *_pods("39", "hostPID", True),
    *_pods("39", "hostIPC", True),
    *_pods("39", "hostNetwork", True),
    *_pods("39", f"{_SECURITY}.privileged", True),
    *_pods("39", f"{_C}.ports[].hostPort", 80),
    *_pods("40", f"{_SECURITY}.capabilities", GONE, {"drop": ["NET_RAW"]}),
    *_pods("40", f"{_SECURITY}.capabilities.add", ["NET_ADMIN"]),
    *_pods("41", "securityContext.seccompProfile", GONE, {"type": "Unconfined"}),
    *_pods("41", f"{_SECURITY}.seccompProfile", {"type": "Unconfined"}),
    *_pods("42", f"{_SECURITY}.readOnlyRootFilesystem", False, GONE),
    *_pods("42", "volumes[].emptyDir.sizeLimit", GONE),
    *_pods("43", "volumes[].hostPath", {"path": "/"}),
    *_pods("43", "volumes[].nfs", {"server": "there"}),
    *(
        mutation
        for side in ("requests", "limits")
        for what in ("cpu", "memory", "ephemeral-storage")
        for mutation in _pods("44", f"{_C}.resources.{side}.{what}", GONE)
    ),
    *_pods("45", f"{_C}.image", "model:latest", "model", "registry.example/model:1"),
    *_pods("46", "automountServiceAccountToken", True, GONE),
    *_pods("47", "serviceAccountName", "default", GONE),
    *_pods("48", f"{_C}.env", [{"name": "DB_PASSWORD", "value": "hunter2"}]),
    *_pods("48", f"{_C}.envFrom", [{"secretRef": {"name": "all"}}]),
    *(
        Mutation("49", ("Deployment", "StatefulSet", "DaemonSet"), f"{_POD}.{_C}.{probe}", GONE)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    ),
    *_pods("50", "securityContext.sysctls", [{"name": "net.core.somaxconn", "value": "1"}]),
    *_pods("50", "securityContext.seLinuxOptions", {"type": "spc_t"}),
    *_pods("50", f"{_SECURITY}.procMount", "Unmasked"),
    *(
        mutation
        for mode in ("enforce", "warn", "audit")
        for key, values in (
            (f"pod-security@kubernetes@io/{mode}", ("baseline", "privileged", GONE)),
            (f"pod-security@kubernetes@io/{mode}-version", ("latest", GONE)),
        )
        for mutation in of("33", "Namespace", f"metadata.labels.{key}", *values)
    ),
    *of("34", "Deployment", "metadata.namespace", "default", "kube-system", GONE),
    *of("34", "Secret", "metadata.namespace", "default", GONE),
    *of("35", "ResourceQuota", "spec.hard.pods", GONE),
    *of("35", "LimitRange", "spec.limits", GONE, []),
    *of("36b", "NetworkPolicy", "spec.ingress[].from", GONE, []),
    *of("36b", "NetworkPolicy", "spec.ingress[].ports", GONE),
    *of("51", "Deployment", "spec.strategy.rollingUpdate.maxUnavailable", 1, "25%", GONE),
    *of("52", "PodDisruptionBudget", "spec.unhealthyPodEvictionPolicy", GONE, "IfHealthyBudget"),
    *of("52", "PodDisruptionBudget", "spec.maxUnavailable", 0),
    *of("53", "HorizontalPodAutoscaler", "spec.scaleTargetRef.name", "nobody"),
    *of("54", "Service", "spec.type", "NodePort", "LoadBalancer"),
    *of("54", "Service", "spec.selector", GONE, {}),
    *of("55", "Ingress", "spec.ingressClassName", GONE),
    *of("55", "Ingress", "spec.rules[].host", GONE, "*.example.org"),
    *of("55", "Ingress", "metadata.annotations", {"nginx/server-snippet": "x"}),
    *of("56", "Role", "rules[].verbs", ["*"]),
    *of("56", "Role", "rules[].resources", ["*"]),
    *of("56", "Role", "rules[].apiGroups", ["*"]),
    *of("56b", "RoleBinding", "roleRef.name", "cluster-admin", "edit"),
    *of("56b", "RoleBinding", "subjects[].name", "system:authenticated"),
    *of("57", "Role", "rules[].verbs", ["impersonate"], ["escalate"], ["bind"]),
    *of("8", "BucketVersioning", "versioningConfiguration.status", "Suspended", GONE),
    *of("10", "Bucket", "objectLockEnabled", False, GONE),
]  # fmt: skip


def mutants(
    mutation: Mutation, resources: list[Resource]
) -> Iterator[tuple[Resource, list[Resource]]]:
    """The stack with one resource broken, for each that has the property's place."""
    for index, resource in enumerate(resources):
        if not {resource.kind, resource.type.removeprefix("aws:")} & {*mutation.kinds}:
            continue
        path = mutation.path.replace(_POD, _PLACES.get(resource.kind, ""))
        props = copy.deepcopy(dict(resource.props))
        if _set(props, _parts(path), mutation.value):
            broken = replace(resource, props=props)
            yield resource, [*resources[:index], broken, *resources[index + 1 :]]


def _parts(path: str) -> list[str]:
    """`@` stands for a dot that belongs to a key."""
    return [part.replace("@", ".") for part in re.findall(r"[^.\[\]]+|\[\]", path)]


def _set(value: Any, parts: list[str], new: Any) -> bool:  # noqa: ANN401 - JSON
    """Sets the place that `parts` lead to; whether anything is other than before."""
    part, *rest = parts
    if part == "[]":
        return isinstance(value, list) and any([_set(each, rest, new) for each in value])
    if not isinstance(value, dict):
        return False
    if rest:
        return part in value and _set(value[part], rest, new)
    if new is GONE:
        return value.pop(part, None) is not None
    changed = value.get(part) != new
    value[part] = copy.deepcopy(new)
    return changed


assert set(_PLACES) <= set(pods.KINDS)
