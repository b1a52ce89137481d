"""Who can reach whom: the stack's NetworkPolicies, evaluated over its pods."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policy.rule import Resource, Stack, at

Labels = Mapping[str, str]
_NAMESPACE = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One end of a connection: the pods of a workload, all alike."""

    name: str
    namespace: str
    labels: Labels = field(hash=False)
    ports: Mapping[str, int] = field(hash=False)
    """By name, what they listen on."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Way:
    """A connection that both ends' policies let happen."""

    source: str
    target: str
    ports: tuple[str, ...]


def pods(stack: Stack, outside: Sequence[Pod] = ()) -> list[Pod]:
    """Those of every workload, and those `outside` that the stack talks with."""
    return [*outside, *(pod for each in stack.resources for pod in _of(each))]


def _of(resource: Resource) -> Iterator[Pod]:
    spec = at(resource.props, "spec", {})
    template = at(spec, "jobTemplate.spec.template") or at(spec, "template")
    if not resource.type.startswith("kubernetes:"):
        return
    if at(template or {}, "spec.containers"):
        yield Pod(
            name=resource.name,
            namespace=at(resource.props, "metadata.namespace"),
            labels=at(template, "metadata.labels", {}),
            ports={
                port["name"]: port["containerPort"]
                for container in template["spec"]["containers"]
                for port in container.get("ports", ())
            },
        )
    elif at(spec, "podMetadata.labels"):  # an operator makes its pods
        yield Pod(
            name=resource.name,
            namespace=at(resource.props, "metadata.namespace"),
            labels=spec["podMetadata"]["labels"],
            ports={spec["portName"]: 0},
        )


def ways(stack: Stack, outside: Sequence[Pod] = ()) -> list[Way]:
    """Every way between two pods that is open, but those of pods `outside` among each other."""
    policies = stack.of("NetworkPolicy")
    everybody = pods(stack, outside)
    found = []
    for source in everybody:
        for target in everybody:
            if source is target or (source in outside and target in outside):
                continue
            ports = tuple(
                name
                for name, number in sorted(target.ports.items())
                if _open("Egress", source, target, (name, number), policies)
                and _open("Ingress", target, source, (name, number), policies)
            )
            if ports:
                found.append(Way(source=str(source), target=str(target), ports=ports))
    return found


def outward(stack: Stack) -> dict[str, tuple[str, ...]]:
    """By pod, the ports of addresses anywhere that it may reach: `*` is all of them."""
    policies = stack.of("NetworkPolicy")
    found = {}
    for pod in pods(stack):
        chosen = [each for each in policies if _selects(each, pod, "Egress")]
        ports = {
            port if isinstance(port, str) else str(int(port))
            for policy in chosen
            for rule in at(policy.props, "spec.egress", ())
            if not rule.get("to") or any("ipBlock" in peer for peer in rule["to"])
            for port in [each["port"] for each in rule.get("ports", ())] or ["*"]
        }
        if not chosen:
            ports = {"*"}
        if ports:
            found[str(pod)] = tuple(sorted(ports))
    return found


def _open(
    direction: str, pod: Pod, peer: Pod, port: tuple[str, int], policies: Sequence[Resource]
) -> bool:
    """Whether the policies of `pod` let traffic with `peer` pass; pods that none selects do."""
    chosen = [each for each in policies if _selects(each, pod, direction)]
    side = "to" if direction == "Egress" else "from"
    return not chosen or any(
        _admits(rule, side, peer, port, at(policy.props, "metadata.namespace"))
        for policy in chosen
        for rule in at(policy.props, f"spec.{direction.lower()}", ())
    )


def _selects(policy: Resource, pod: Pod, direction: str) -> bool:
    return (
        direction in at(policy.props, "spec.policyTypes", ())
        and at(policy.props, "metadata.namespace") == pod.namespace
        and _fits(at(policy.props, "spec.podSelector", {}), pod.labels)
    )


def _admits(
    rule: Mapping[str, Any], side: str, peer: Pod, port: tuple[str, int], home: str
) -> bool:
    ports = [each["port"] for each in rule.get("ports", ())]
    peers = rule.get(side, ())
    return (not ports or port[0] in ports or port[1] in ports) and (
        not peers or any(_means(each, peer, home) for each in peers)
    )


def _means(chosen: Mapping[str, Any], peer: Pod, home: str) -> bool:
    """Whether a peer of a rule in the namespace `home` is this pod; addresses are no pods."""
    if "ipBlock" in chosen:
        return False
    namespaces = chosen.get("namespaceSelector")
    there = (
        peer.namespace == home
        if namespaces is None
        else _fits(namespaces, {_NAMESPACE: peer.namespace})
    )
    return there and _fits(chosen.get("podSelector") or {}, peer.labels)


def _fits(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Raises ValueError for an operator that is not known here: none is guessed."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for each in selector.get("matchExpressions", ()):
        value, operator = labels.get(each["key"]), each["operator"]
        if operator not in ("Exists", "In"):
            raise ValueError(f"a selector has the operator {operator}: only Exists and In are read")
        if value is None or (operator == "In" and value not in each["values"]):
            return False
    return True
