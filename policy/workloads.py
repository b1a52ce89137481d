"""What namespaces and the objects around a workload keep to."""

from collections.abc import Iterator, Mapping

from policy.rule import Resource, Stack, at, rule

_MODES = ("enforce", "warn", "audit")
_MODEL = "ferry.dev/model"
_NAMESPACED_ELSEWHERE = {"default", "kube-system", "kube-public", "kube-node-lease"}
_PLACED = (
    *("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Service", "Secret"),
    *("ConfigMap", "Ingress", "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"),
    *("PersistentVolumeClaim", "HorizontalPodAutoscaler", "PodDisruptionBudget"),
)


@rule("33", "CIS 4.2.1-4.2.5", "EKS best practices: pods", kinds=["Namespace"])
def namespaces_admit_restricted_pods_only(resource: Resource, _: Stack) -> Iterator[str]:
    """A namespace enforces, warns of and audits the restricted Pod Security standard."""
    labels = at(resource.props, "metadata.labels", {})
    for mode in _MODES:
        found = labels.get(f"pod-security.kubernetes.io/{mode}")
        if found != "restricted":
            yield f"label pod-security.kubernetes.io/{mode} must be restricted, is {found}"
        if not str(labels.get(f"pod-security.kubernetes.io/{mode}-version", "")).startswith("v1."):
            yield f"label pod-security.kubernetes.io/{mode}-version must name a version"


@rule("34", "CIS 4.5.1", "CIS 4.5.2", "CKV_K8S_21", kinds=_PLACED)
def nothing_is_in_a_shared_namespace(resource: Resource, _: Stack) -> Iterator[str]:
    """Every object names a namespace, and none that is the cluster's own."""
    if not resource.type.startswith("kubernetes:"):
        return  # a Role of IAM's is in none
    found = at(resource.props, "metadata.namespace")
    if found is None or found in _NAMESPACED_ELSEWHERE:
        yield f"metadata.namespace must be a namespace of the stack's, is {found}"


@rule(
    "35",
    "EKS best practices: requests and limits",
    "NSA resource policies",
    kinds=["Namespace"],
    by_others=True,
)
def namespaces_are_bounded(resource: Resource, stack: Stack) -> Iterator[str]:
    """A namespace has a quota, and defaults for what names no limits."""
    for kind, path in (("ResourceQuota", "spec.hard.pods"), ("LimitRange", "spec.limits")):
        if not any(at(each.props, path) for each in stack.beside(resource, kind)):
            yield f"no {kind} with {path} beside it"


@rule("36", "CIS 4.3.2", "NSA C-0030", "CKV2_K8S_6", kinds=["Namespace"], by_others=True)
def namespaces_deny_all_traffic(resource: Resource, stack: Stack) -> Iterator[str]:
    """A namespace lets nothing in or out but what a policy of its own opens."""
    for policy in stack.beside(resource, "NetworkPolicy"):
        spec = policy.props.get("spec", {})
        closed = set(spec.get("policyTypes", ())) == {"Ingress", "Egress"}
        if closed and spec.get("podSelector") == {} and not spec.get("egress"):
            return
    yield "no NetworkPolicy that denies all of Ingress and Egress beside it"


@rule("36b", "NSA C-0030", kinds=["NetworkPolicy"])
def no_policy_opens_a_way_to_everybody(resource: Resource, _: Stack) -> Iterator[str]:
    """A NetworkPolicy names who may come in, and by which ports."""
    for each in at(resource.props, "spec.ingress", ()):
        if not (each.get("from") or each.get("from_")):
            yield "an ingress rule without `from` lets everybody in"
        if not each.get("ports"):
            yield "an ingress rule without ports opens all of them"


@rule(
    "51",
    "kube-score deployment-replicas",
    "kube-score horizontalpodautoscaler-replicas",
    kinds=["Deployment"],
)
def models_move_without_a_gap(resource: Resource, _: Stack) -> Iterator[str]:
    """A model's pods go only after new ones serve, and their number is its autoscaler's."""
    spec = resource.props.get("spec", {})
    if _MODEL not in at(spec, "template.metadata.labels", {}) or spec.get("replicas") == 0:
        return
    if spec.get("replicas") is not None:
        yield f"spec.replicas must not be set, is {spec['replicas']}"
    if at(spec, "strategy.rollingUpdate.maxUnavailable") != 0:
        yield "spec.strategy.rollingUpdate.maxUnavailable must be 0"


@rule("52", "kube-score deployment-has-poddisruptionbudget", kinds=["PodDisruptionBudget"])
def budgets_let_sick_pods_go(resource: Resource, _: Stack) -> Iterator[str]:
    """A disruption budget leaves replicas, and does not keep a node for pods that are not ready."""
    if at(resource.props, "spec.unhealthyPodEvictionPolicy") != "AlwaysAllow":
        yield "spec.unhealthyPodEvictionPolicy must be AlwaysAllow"
    if at(resource.props, "spec.maxUnavailable") == 0:
        yield "spec.maxUnavailable 0 lets no node ever be emptied"


@rule(
    "53",
    "kube-score horizontalpodautoscaler-has-target",
    kinds=["HorizontalPodAutoscaler"],
    by_others=True,
)
def autoscalers_find_their_target(resource: Resource, stack: Stack) -> Iterator[str]:
    """What an autoscaler scales is there."""
    target: Mapping[str, str] = at(resource.props, "spec.scaleTargetRef", {})
    if not any(
        at(each.props, "kind") == target.get("kind")
        and at(each.props, "metadata.name") == target.get("name")
        for each in stack.resources
    ):
        yield f"there is no {target.get('kind')} {target.get('name')}"


@rule("54", "kube-score service-type", "KubeLinter exposed-services", kinds=["Service"])
def services_stay_inside(resource: Resource, _: Stack) -> Iterator[str]:
    """A Service has an address inside the cluster only, and says whose pods it means."""
    found = at(resource.props, "spec.type", "ClusterIP")
    if found != "ClusterIP":
        yield f"spec.type must be ClusterIP, is {found}"
    if not at(resource.props, "spec.selector"):
        yield "spec.selector must name the pods"


@rule("55", "NSA C-0059", "NSA C-0292", kinds=["Ingress"])
def ingresses_name_their_class_and_hosts(resource: Resource, _: Stack) -> Iterator[str]:
    """An Ingress names its class and hosts, and carries no snippet of a proxy's configuration."""
    if not at(resource.props, "spec.ingressClassName"):
        yield "spec.ingressClassName must be set"
    for each in at(resource.props, "spec.rules", ()):
        if not each.get("host") or str(each["host"]).startswith("*"):
            yield f"a rule must name one host, has {each.get('host')}"
    for key in at(resource.props, "metadata.annotations", {}):
        if "snippet" in key:
            yield f"annotation {key} changes the proxy itself"


RULES = (
    namespaces_admit_restricted_pods_only,
    nothing_is_in_a_shared_namespace,
    namespaces_are_bounded,
    namespaces_deny_all_traffic,
    no_policy_opens_a_way_to_everybody,
    models_move_without_a_gap,
    budgets_let_sick_pods_go,
    autoscalers_find_their_target,
    services_stay_inside,
    ingresses_name_their_class_and_hosts,
)
