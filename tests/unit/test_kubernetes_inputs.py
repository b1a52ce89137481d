"""What the stand-in for `kubernetes` makes of names, settings, kubeconfigs and manifests."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.standins.kubernetes import kinds, kubeconfig, manifests, naming
from lab.standins.kubernetes.settings import settings
from lab.standins.provider import Invalid, Operation, ProviderError, Refused
from lab.standins.values import UNKNOWN


def operation(name: str = "thing") -> Operation:
    return Operation(
        urn=f"urn:pulumi:s::p::kubernetes:core/v1:Pod::{name}",
        type="kubernetes:core/v1:Pod",
        name=name,
        cancelled=threading.Event(),
        log=lambda message, severity: None,
        status=lambda message: None,
    )


def test_a_name_is_drawn_from_the_seed_alone() -> None:
    first, again, other = (
        naming.named(operation(), {}, {"metadata": {}}, seed)["metadata"]["name"]
        for seed in (b"1", b"1", b"2")
    )
    assert first == again != other
    assert first.startswith("thing-")
    unseeded = {naming.named(operation(), {}, {}, b"")["metadata"]["name"] for _ in range(2)}
    assert len(unseeded) == 2


def test_a_given_name_and_one_that_is_not_known_yet_stay() -> None:
    for metadata in ({"name": "mine"}, {"name": UNKNOWN}, UNKNOWN):
        assert naming.named(operation(), {}, {"metadata": metadata}, b"1") == {"metadata": metadata}


def test_only_a_name_that_was_drawn_is_kept() -> None:
    drawn = naming.named(operation(), {}, {"metadata": {"labels": {"a": "b"}}}, b"1")
    assert drawn["metadata"]["labels"] == {"a": "b"}
    assert naming.named(operation(), drawn, {"metadata": {}}, b"2")["metadata"] == {
        "name": drawn["metadata"]["name"],
        "annotations": {"pulumi.com/autonamed": "true"},
    }
    given = {"metadata": {"name": "mine"}}
    assert naming.named(operation(), given, {"metadata": {}}, b"2")["metadata"]["name"] != "mine"


def test_a_name_that_the_server_would_draw_is_refused() -> None:
    with pytest.raises(Invalid, match="generateName"):
        naming.named(operation(), {}, {"metadata": {"generateName": "a-"}}, b"")


def test_the_field_manager_is_the_annotations_then_the_one_before() -> None:
    asked = {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "mine"}}}
    assert naming.manager_of(operation(), asked, "before") == "mine"
    assert naming.manager_of(operation(), {}, "before") == "before"
    assert naming.manager_of(operation(), {}, None).startswith("pulumi-kubernetes-")


@pytest.mark.parametrize(
    ("api_version", "ours"),
    [
        ("v1", True),
        ("apps/v1", True),
        ("networking.k8s.io/v1", True),
        ("gateway.networking.k8s.io/v1", False),
        ("argoproj.io/v1alpha1", False),
    ],
)
def test_kinds_of_kubernetes_itself_are_told_from_others(api_version: str, ours: bool) -> None:
    assert kinds.builtin(api_version) is ours


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("kubernetes:core/v1:ConfigMapPatch", "declare the object itself"),
        ("kubernetes:apps/v1:DeploymentList", "Use the underlying resource type"),
        ("kubernetes:helm.sh/v3:Release", "helm template"),
        ("kubernetes:kustomize/v2:Directory", "kubectl kustomize"),
    ],
)
def test_types_that_are_no_plain_objects_are_refused(token: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        kinds.refuse(token)


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:core/v1:ConfigMap",
        "kubernetes:apps/v1:Deployment",
        "kubernetes:test.ferry/v1:WaitingList",
        "kubernetes:test.ferry/v1:SecurityPatch",
    ],
)
def test_plain_objects_and_custom_resources_are_not(token: str) -> None:
    kinds.refuse(token)


def test_the_namespaceless_kinds_are_known() -> None:
    assert kinds.cluster_wide("ClusterRole")
    assert not kinds.cluster_wide("Role")
    assert kinds.of("kubernetes:core/v1:Pod") == ("v1", "Pod")
    assert kinds.of("kubernetes:apps/v1:Deployment") == ("apps/v1", "Deployment")


def test_what_the_program_asks_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE", "true")
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    assert settings({}).mutable_config_maps
    assert settings({}).delete_unreachable
    assert not settings({"enableConfigMapMutable": False}).mutable_config_maps
    assert not settings({}).mutable_secrets
    assert settings({"enableSecretMutable": "true"}).mutable_secrets


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"renderYamlToDirectory": "out"}, "renderYamlToDirectory"),
        ({"enableServerSideApply": False}, "leave out enableServerSideApply"),
    ],
)
def test_a_setting_that_is_not_covered_is_refused_by_name(args: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        settings(args)


CONFIG = """
current-context: one
clusters:
  - {name: a, cluster: {server: "http://a:1/"}}
  - {name: b, cluster: {server: "http://b:2"}}
contexts:
  - {name: one, context: {cluster: a, user: u, namespace: n}}
  - {name: two, context: {cluster: b, user: p}}
  - {name: lost, context: {cluster: c}}
  - {name: cloud, context: {cluster: a, user: e}}
users:
  - {name: u, user: {token: t}}
  - {name: p, user: {username: me, password: pw}}
  - {name: e, user: {auth-provider: {name: gcp}}}
"""


def test_a_kubeconfig_is_contents_or_a_path_and_a_context_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    first = kubeconfig.load(str(path), None)
    assert (first.server, first.namespace) == ("http://a:1", "n")
    assert first.login() == {"Authorization": "Bearer t"}
    assert first.source == f"kubeconfig {path}"
    second = kubeconfig.load(CONFIG, "two")
    assert (second.server, second.namespace) == ("http://b:2", "default")
    basic = base64.b64encode(b"me:pw").decode()
    assert second.login() == {"Authorization": f"Basic {basic}"}


def test_by_default_the_environment_names_the_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{path}")
    assert kubeconfig.load(None, None).server == "http://a:1"


@pytest.mark.parametrize(
    ("text", "context", "words"),
    [
        ("a: [\n", None, "is not YAML"),
        ("a: 1\n", None, "has no `clusters`"),
        ("clusters: []\n", None, "has no current-context"),
        (CONFIG, "three", "has no context 'three'"),
        (CONFIG, "lost", "has no cluster 'c'"),
        (CONFIG, "cloud", "credentials from an auth-provider"),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_named(
    text: str, context: str | None, words: str
) -> None:
    with pytest.raises(ProviderError, match=words):
        kubeconfig.load(text, context)


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=f"{tmp_path}/none cannot be read: No such file"):
        kubeconfig.load(f"{tmp_path}/none", None)


def thing(kind: str, name: str = "a") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def test_lists_are_taken_apart_and_definitions_come_first() -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [thing("Pod"), thing("Namespace")]}
    every = [thing("Service"), listed, thing("CustomResourceDefinition")]
    phases = manifests.in_order(manifests.expanded(every))
    assert [[each["kind"] for each in phase] for phase in phases] == [
        ["Namespace", "CustomResourceDefinition"],
        ["Service", "Pod"],
    ]
    assert manifests.in_order([thing("Pod")]) == [[thing("Pod")]]


def test_files_are_found_by_pattern_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.yaml").write_text(f"---\n---\nkind: {name}\n---\nkind: {name}2\n")
    found = [each["kind"] for each in manifests.read(f"{tmp_path}/*.yaml")]
    assert found == ["a", "a2", "b", "b2"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"kind": "Pod", "metadata": {"name": "a"}}, "require a kind and apiVersion: {'kind'"),
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "require a kind and apiVersion"),
        ({"apiVersion": "v1", "kind": "Pod"}, r"require a \.metadata\.name"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": "x" * 200}, r"x{20}\.\.\.$"),
    ],
)
def test_what_an_object_lacks_is_named(broken: dict[str, Any], words: str) -> None:
    with pytest.raises(ProviderError, match=words):
        list(manifests.expanded([broken]))


def test_only_lists_are_taken_apart() -> None:
    items = thing("ConfigMap") | {"items": ["a"]}
    assert list(manifests.expanded([items])) == [items]
    bare = thing("WaitingList")
    assert list(manifests.expanded([bare])) == [bare]


def test_a_document_that_is_no_object_is_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ProviderError, match=f"{path}: a document is no Kubernetes object"):
        list(manifests.read(str(path)))


def test_a_bare_equals_sign_is_a_text_as_kubernetes_reads_it() -> None:
    (found,) = manifests.parse("kind: Kind\nenum: [=, '!=']\n", "here")
    assert found["enum"] == ["=", "!="]
