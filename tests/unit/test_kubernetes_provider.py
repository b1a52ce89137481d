"""What the provider `kubernetes` decides on its own, without a cluster."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lab.standins.difference import Change
from lab.standins.kubernetes.client import Unreachable
from lab.standins.kubernetes.provider import KubernetesProvider
from lab.standins.provider import Operation, Properties, Refused
from lab.standins.values import UNKNOWN, Secret

SERVER = "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9/PATH'}}]\n"
CONFIG = SERVER + (
    "users: [{name: u, user: {token: TOKEN}}]\n"
    "contexts: [{name: a, context: {cluster: a, user: u, namespace: ours}}]\n"
    "current-context: a\n"
)
LOG: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def empty_log() -> None:
    LOG.clear()


@pytest.fixture
def provider() -> KubernetesProvider:
    configured = KubernetesProvider()
    configured.configure({"kubeconfig": CONFIG})
    return configured


def operation(kind: str = "core/v1:Pod", **more: Any) -> Operation:  # noqa: ANN401
    return Operation(
        urn=f"urn:pulumi:s::p::kubernetes:{kind}::thing",
        type=f"kubernetes:{kind}",
        name="thing",
        cancelled=threading.Event(),
        log=lambda message, severity: LOG.append((severity, message)),
        status=lambda message: None,
        **more,
    )


def thing(kind: str, api_version: str = "v1", **fields: object) -> Properties:
    return {"apiVersion": api_version, "kind": kind, **fields}


def replaced(provider: KubernetesProvider, old: object, new: object) -> list[str]:
    diff = provider.diff_config({"kubeconfig": old}, {"kubeconfig": new})
    assert diff.changes
    return [path for path, change in diff.changes.items() if change.replace]


def test_another_cluster_replaces_the_provider_and_new_credentials_do_not(
    provider: KubernetesProvider,
) -> None:
    assert replaced(provider, CONFIG, CONFIG.replace("TOKEN", "other")) == []
    assert replaced(provider, CONFIG, CONFIG.replace("PATH", "other")) == ["kubeconfig"]
    assert replaced(provider, CONFIG, UNKNOWN) == ["kubeconfig"]
    changes = provider.diff_config({"kubeconfig": CONFIG}, {"kubeconfig": CONFIG, "namespace": "n"})
    assert changes.changes == {"namespace": Change("add")}


def test_a_cluster_that_is_identified_is_the_same_whatever_else_changes(
    provider: KubernetesProvider,
) -> None:
    def replaced(old: str, new: Any) -> list[str]:  # noqa: ANN401
        before = {"kubeconfig": CONFIG, "clusterIdentifier": old}
        after = {"kubeconfig": CONFIG.replace("PATH", "other"), "clusterIdentifier": new}
        changes = provider.diff_config(before, after).changes
        assert "kubeconfig" in changes
        return [path for path, change in changes.items() if change.replace]

    assert replaced("one", "one") == []
    assert replaced("one", "two") == ["clusterIdentifier"]
    assert replaced("one", UNKNOWN) == ["clusterIdentifier"]


@pytest.mark.parametrize(
    ("inputs", "namespace"),
    [
        (thing("Pod", metadata={}), "ours"),
        (thing("Pod", metadata={"namespace": "theirs"}), "theirs"),
        (thing("Pod", metadata={"namespace": UNKNOWN}), UNKNOWN),
        (thing("Namespace", metadata={}), None),
        (thing("ClusterRole", "rbac.authorization.k8s.io/v1", metadata={}), None),
        # A kind that no cluster is there to tell about.
        (thing("Gear", "test/v1", metadata={}), "ours"),
    ],
)
def test_an_object_without_a_namespace_gets_the_contexts(
    provider: KubernetesProvider, inputs: Properties, namespace: object
) -> None:
    checked = provider.check(operation(), {}, inputs, b"1")
    assert checked["metadata"].get("namespace") == namespace


def test_the_providers_namespace_goes_before_the_contexts() -> None:
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": CONFIG, "namespace": "mine"})
    checked = provider.check(operation(), {}, thing("Pod"), b"1")
    assert checked["metadata"]["namespace"] == "mine"


def test_what_only_the_server_sets_is_not_an_input(provider: KubernetesProvider) -> None:
    metadata = {"name": "a", "uid": "u", "resourceVersion": "1", "creationTimestamp": None}
    checked = provider.check(operation(), {}, thing("Pod", metadata=metadata), b"1")
    assert checked["metadata"] == {"name": "a", "namespace": "ours"}


def test_secrets_of_the_program_survive_the_check(provider: KubernetesProvider) -> None:
    inputs = thing("Pod", spec={"token": Secret("t"), "open": "o"})
    checked = provider.check(operation(), {}, inputs, b"1")
    assert checked["spec"] == {"token": Secret("t"), "open": "o"}
    checked = provider.check(operation(), {}, thing("Secret", data={"a": "b"}), b"1")
    assert checked["data"] == Secret({"a": "b"})


def test_metadata_that_is_not_known_yet_stays_so(provider: KubernetesProvider) -> None:
    inputs = thing("Pod", metadata=UNKNOWN)
    assert provider.check(operation(), {}, inputs, b"1") == inputs


def test_missing_metadata_is_made(provider: KubernetesProvider) -> None:
    for inputs in (thing("Pod"), thing("Pod", metadata=None)):
        checked = provider.check(operation(), {}, inputs, b"1")
        assert checked["metadata"]["name"].startswith("thing-")


def test_a_preview_needs_no_cluster_and_everything_else_names_it(
    provider: KubernetesProvider,
) -> None:
    inputs = thing("Pod", metadata={"name": "a"})
    preview = operation(preview=True)
    assert provider.create(preview, inputs).outputs == inputs
    assert provider.update(preview, inputs, inputs, inputs) == inputs
    ((severity, message),) = LOG
    assert severity == "warning"
    assert "cluster is unreachable: http://127.0.0.1:9/PATH" in message
    words = r"cluster is unreachable: http://127.0.0.1:9/PATH \(the provider's kubeconfig\): "
    for act in _acts(provider, inputs):
        with pytest.raises(Unreachable, match=words):
            act()


def _acts(provider: KubernetesProvider, inputs: Properties) -> Iterator[Any]:
    now = operation(id="n/a")
    yield lambda: provider.create(now, inputs)
    yield lambda: provider.update(now, inputs, inputs, inputs)
    yield lambda: provider.read(now, inputs, inputs)


def test_an_object_of_a_cluster_that_is_gone_can_be_forgotten(
    provider: KubernetesProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = thing("Pod", metadata={"name": "a"})
    with pytest.raises(Exception, match='PULUMI_K8S_DELETE_UNREACHABLE set to "true"'):
        provider.delete(operation(id="n/a"), inputs, inputs)
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    provider.configure({"kubeconfig": CONFIG})
    provider.delete(operation(id="n/a"), inputs, inputs)


def test_a_missing_kubeconfig_is_named_when_a_cluster_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/missing/kubeconfig")
    provider = KubernetesProvider()
    provider.configure({})
    inputs = thing("Pod", metadata={"name": "a"})
    with pytest.raises(Unreachable, match="kubeconfig /missing/kubeconfig cannot be read"):
        provider.create(operation(), inputs)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("kubernetes:yaml:decode", "does not cover kubernetes:yaml:decode: use yaml/v2"),
        ("kubernetes:helm:template", "does not cover kubernetes:helm:template: render the chart"),
        ("kubernetes:other:thing", "does not cover kubernetes:other:thing"),
    ],
)
def test_functions_are_refused_by_name(
    provider: KubernetesProvider, token: str, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        provider.invoke(token, {})
