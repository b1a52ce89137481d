"""NetworkPolicies evaluated: a way is open when both of its ends let it be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.reach import Pod, Way, outward, ways
from policy.rule import Resource, Stack

BOTH = ["Ingress", "Egress"]
PORTS = {"http": 8080, "admin": 9000}


def pod(name: str, namespace: str) -> Resource:
    container = {
        "name": "main",
        "ports": [{"name": port, "containerPort": number} for port, number in PORTS.items()],
    }
    return Resource(
        type="kubernetes:apps/v1:Deployment",
        name=name,
        props={
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [container]},
                }
            },
        },
    )


def policy(namespace: str, of: str | None, types: list[str], **rules: object) -> Resource:
    chosen = {} if of is None else {"matchLabels": {"app": of}}
    return Resource(
        type="kubernetes:networking.k8s.io/v1:NetworkPolicy",
        name=f"{namespace}-{of}",
        props={
            "metadata": {"namespace": namespace},
            "spec": {"podSelector": chosen, "policyTypes": types, **rules},
        },
    )


def there(namespace: str, name: str | None = None) -> dict[str, Any]:
    peer: dict[str, Any] = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    }
    return peer if name is None else {**peer, "podSelector": {"matchLabels": {"app": name}}}


A, B = pod("a", "one"), pod("b", "two")
CLOSED = [policy("one", None, BOTH), policy("two", None, BOTH)]
OUT = policy("one", "a", BOTH, egress=[{"to": [there("two", "b")], "ports": [{"port": "http"}]}])
IN = policy("two", "b", ["Ingress"], ingress=[{"from": [there("one")], "ports": [{"port": 8080}]}])


def found(*resources: Resource) -> list[Way]:
    return ways(Stack(resources))


def test_without_policies_everybody_reaches_everybody() -> None:
    ports = ("admin", "http")
    assert found(A, B) == [
        Way(source="one/a", target="two/b", ports=ports),
        Way(source="two/b", target="one/a", ports=ports),
    ]


def test_a_way_needs_the_consent_of_both_ends_and_is_one_way() -> None:
    assert found(A, B, *CLOSED) == []
    assert found(A, B, *CLOSED, OUT) == []
    assert found(A, B, *CLOSED, IN) == []
    assert found(A, B, *CLOSED, OUT, IN) == [Way(source="one/a", target="two/b", ports=("http",))]


def test_a_peer_without_a_namespace_is_beside_the_policy() -> None:
    beside = {"podSelector": {"matchLabels": {"app": "a"}}}
    into = policy("two", "b", ["Ingress"], ingress=[{"from": [beside]}])
    assert found(A, B, *CLOSED, OUT, into) == []
    near = pod("a", "two")
    out = policy("two", "a", ["Egress"], egress=[{"to": [there("two")]}])
    assert [str(each.source) for each in found(near, B, *CLOSED, out, into)] == ["two/a"]


def test_a_rule_without_ports_means_all_of_them() -> None:
    out = policy("one", "a", BOTH, egress=[{"to": [there("two")]}])
    into = policy("two", "b", ["Ingress"], ingress=[{"from": [there("one")]}])
    (way,) = found(A, B, *CLOSED, out, into)
    assert way.ports == ("admin", "http")


def test_addresses_are_no_pods() -> None:
    out = policy("one", "a", BOTH, egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])
    assert found(A, B, *CLOSED, out, IN) == []
    assert outward(Stack([A, B, *CLOSED, out])) == {"one/a": ("*",)}


def test_a_rule_without_peers_reaches_any_address_at_its_ports() -> None:
    out = policy("one", "a", BOTH, egress=[{"ports": [{"port": 443.0}, {"port": 6443}]}])
    assert outward(Stack([A, *CLOSED, out])) == {"one/a": ("443", "6443")}


def test_who_is_selected_by_no_policy_reaches_any_address() -> None:
    assert outward(Stack([A])) == {"one/a": ("*",)}
    assert outward(Stack([A, *CLOSED])) == {}


def test_an_operators_pods_are_found_by_the_labels_that_it_gives_them() -> None:
    made = Resource(
        type="kubernetes:monitoring.coreos.com/v1:Prometheus",
        name="prometheus",
        props={
            "metadata": {"namespace": "two"},
            "spec": {"podMetadata": {"labels": {"app": "b"}}, "portName": "http"},
        },
    )
    into = policy("two", "b", ["Ingress"], ingress=[{"ports": [{"port": "http"}]}])
    (way,) = found(A, made, *CLOSED, OUT, into)
    assert (way.target, way.ports) == ("two/prometheus", ("http",))


def test_a_selector_that_cannot_be_read_is_an_error_and_no_guess() -> None:
    odd = policy("one", None, BOTH)
    odd.props["spec"]["podSelector"]["matchExpressions"] = [{"key": "app", "operator": "NotIn"}]
    with pytest.raises(ValueError, match="NotIn"):
        found(A, B, odd)


def test_the_ways_of_those_outside_among_each_other_are_not_the_stacks() -> None:
    gateway = Pod(name="gateway", namespace="edge", labels={}, ports={"web": 80})
    other = Pod(name="dns", namespace="system", labels={}, ports={"dns": 53})
    assert ways(Stack([]), [gateway, other]) == []
    (into, out) = sorted(ways(Stack([A]), [gateway]), key=lambda way: way.source)
    assert (into.source, out.target) == ("edge/gateway", "edge/gateway")


@given(st.lists(st.sampled_from([OUT, IN, *CLOSED]), max_size=6))
def test_a_policy_more_never_opens_what_a_closed_namespace_did_not_name(
    policies: list[Resource],
) -> None:
    allowed = {("one/a", "two/b")}
    seen = {(each.source, each.target) for each in found(A, B, *CLOSED, *policies)}
    assert seen <= allowed
