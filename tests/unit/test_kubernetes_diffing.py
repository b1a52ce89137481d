"""What the stand-in for `kubernetes` calls an update, a replacement, and no change."""

from typing import Any

import pytest

from lab.standins.difference import Change, differences, written
from lab.standins.kubernetes.diffing import difference, replacement
from lab.standins.provider import Diff
from lab.standins.values import UNKNOWN, Secret

AUTONAMED = {"pulumi.com/autonamed": "true"}


def thing(kind: str, api_version: str = "v1", **fields: object) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **fields}


def compare(old: dict[str, Any], new: dict[str, Any], **mutable: bool) -> Diff:
    flags = {"mutable_config_maps": False, "mutable_secrets": False} | mutable
    return difference(old, new, **flags)


def replaces(old: dict[str, Any], new: dict[str, Any], **mutable: bool) -> bool:
    diff = compare(old, new, **mutable)
    assert diff.changes
    return any(change.replace for change in diff.changes.values())


def test_the_same_inputs_are_no_change() -> None:
    same = thing("Service", spec={"ports": [{"port": 80}]})
    assert compare(same, dict(same)) == Diff()


def test_an_unready_job_is_replaced_without_any_change_and_deleted_first() -> None:
    same = thing("Job", "batch/v1")
    diff = replacement(compare(same, same), same, same)
    assert [change.replace for change in diff.changes.values()] == [True]
    assert diff.delete_before_replace


def test_no_namespace_and_the_default_one_are_the_same() -> None:
    placed = thing("Pod") | {"metadata": {"name": "a", "namespace": "default"}}
    assert compare(thing("Pod"), placed) == Diff()


@pytest.mark.parametrize(
    ("kind", "api_version", "old", "new"),
    [
        ("Deployment", "apps/v1", {"selector": {"a": 1}}, {"selector": {"a": 2}}),
        ("DaemonSet", "apps/v1", {"selector": {"a": 1}}, {"selector": {"a": 2}}),
        ("StatefulSet", "apps/v1", {"serviceName": "a"}, {"serviceName": "b"}),
        ("StatefulSet", "apps/v1", {}, {"volumeClaimTemplates": [{}]}),
        ("Job", "batch/v1", {"template": {"a": 1}}, {"template": {}}),
        ("Job", "batch/v1", {"completions": 1}, {"completions": 2}),
        ("Service", "v1", {"clusterIP": "None"}, {}),
        ("PersistentVolumeClaim", "v1", {"storageClassName": "a"}, {"storageClassName": "b"}),
        ("PersistentVolume", "v1", {"hostPath": {"path": "a"}}, {"hostPath": {"path": "b"}}),
        ("Pod", "v1", {"containers": [{"image": "a"}]}, {"containers": [{"image": "b"}]}),
        ("Pod", "v1", {"containers": [{}, {"image": "a"}]}, {"containers": [{}]}),
    ],
)
def test_a_fixed_field_replaces(
    kind: str, api_version: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert replaces(thing(kind, api_version, spec=old), thing(kind, api_version, spec=new))


@pytest.mark.parametrize(
    ("kind", "api_version", "old", "new"),
    [
        ("Deployment", "apps/v1", {"replicas": 1}, {"replicas": 2}),
        ("StatefulSet", "apps/v1", {"template": {"a": 1}}, {"template": {"a": 2}}),
        ("Job", "batch/v1", {"backoffLimit": 1}, {"backoffLimit": 2}),
        ("Service", "v1", {"ports": [{"port": 1}]}, {"ports": [{"port": 2}]}),
        (
            "PersistentVolumeClaim",
            "v1",
            {"resources": {"requests": {"storage": "1Gi"}}},
            {"resources": {"requests": {"storage": "2Gi"}}},
        ),
        ("Pod", "v1", {"activeDeadlineSeconds": 1}, {"activeDeadlineSeconds": 2}),
        # A kind of somebody else's that is only called so.
        ("Deployment", "apps.test/v1", {"selector": {"a": 1}}, {"selector": {"a": 2}}),
    ],
)
def test_any_other_field_updates(
    kind: str, api_version: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert not replaces(thing(kind, api_version, spec=old), thing(kind, api_version, spec=new))


def test_a_role_and_a_provisioner_replace() -> None:
    group = "rbac.authorization.k8s.io/v1"
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        assert replaces(thing(kind, group, roleRef={"n": 1}), thing(kind, group, roleRef={"n": 2}))
    old, new = (thing("StorageClass", "storage.k8s.io/v1", provisioner=p) for p in "ab")
    assert replaces(old, new)


def test_another_name_or_namespace_replaces_every_kind() -> None:
    for key in ("name", "namespace"):
        old = thing("Gear", "test/v1")
        new = thing("Gear", "test/v1") | {"metadata": {"name": "a", key: "b"}}
        assert compare(old, new).changes[f"metadata.{key}"].replace


def test_data_replaces_unless_it_may_change_in_place() -> None:
    old, new = (thing("ConfigMap", data={"a": text}) for text in "12")
    assert replaces(old, new)
    assert not replaces(old, new, mutable_config_maps=True)
    assert replaces(old | {"immutable": True}, new | {"immutable": True}, mutable_config_maps=True)
    old, new = (thing("Secret", stringData=Secret({"a": text})) for text in "12")
    assert replaces(old, new)
    assert not replaces(old, new, mutable_secrets=True)
    assert replaces(old | {"type": "a"}, new | {"type": "b"}, mutable_secrets=True)
    labelled = old | {"metadata": {"name": "a", "labels": {"a": "b"}}}
    assert not replaces(old, labelled)


def test_what_is_not_known_yet_is_a_change() -> None:
    old, new = (thing("Service", spec={"clusterIP": ip}) for ip in ("None", UNKNOWN))
    assert replaces(old, new)


def test_taking_a_fixed_field_along_replaces() -> None:
    bare = thing("Deployment", "apps/v1")
    assert replaces(bare | {"spec": {"selector": {}}}, bare)
    assert not replaces(bare | {"spec": {"replicas": 1}}, bare)
    pod = thing("Pod")
    assert replaces(pod | {"spec": {"containers": [{"name": "a"}, {"image": "b"}]}}, pod)
    assert not replaces(pod | {"spec": {"containers": [{"name": "a"}]}}, pod)
    assert not replaces(pod | {"spec": {"containers": {"image": "b"}}}, pod)


def test_the_old_object_goes_first_only_where_the_new_one_needs_its_name() -> None:
    old, new = (thing("ConfigMap", data={"a": text}) for text in "12")
    assert compare(old, new).delete_before_replace
    autonamed = new | {"metadata": {"name": "a", "annotations": AUTONAMED}}
    assert not compare(old, autonamed).delete_before_replace
    assert not compare(old, new | {"metadata": {"name": "b"}}).delete_before_replace
    assert not compare(old, new | {"metadata": {"name": UNKNOWN}}).delete_before_replace
    elsewhere = new | {"metadata": {"name": "a", "namespace": "b"}}
    assert not compare(old, elsewhere).delete_before_replace
    labelled = old | {"metadata": {"name": "a", "labels": {"a": "b"}}}
    assert not compare(old, labelled).delete_before_replace


def test_differences_are_named_by_the_path_of_the_leaf() -> None:
    old = {"a": {"b": [1, {"c": 2}]}, "gone": 1, "same": Secret("s"), "kind": 1}
    new = {"a": {"b": [1, {"c": 3}, 4], "d.e": 5}, "same": "s", "kind": True}
    assert differences(old, new, replace=frozenset({"gone"})) == {
        "a.b[1].c": Change("update"),
        "a.b[2]": Change("add"),
        'a["d.e"]': Change("add"),
        "gone": Change("delete", replace=True),
        "kind": Change("update"),
    }
    assert written(("a", 'b"c', 0)) == 'a["b\\"c"][0]'
