"""What the stand-in for `kubernetes` takes for drift when it reads an object."""

from typing import Any

import pytest

from lab.standins.kubernetes.objects import (
    annotation,
    identity,
    live_of,
    manifest,
    marked,
    parsed,
    state,
)
from lab.standins.kubernetes.observing import imported, observed, same_quantity
from lab.standins.values import UNKNOWN, Secret

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def live(**fields: object) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **fields}


def test_what_the_program_did_not_say_is_no_drift() -> None:
    inputs = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}}
    injected = {"name": "sidecar"}
    spec = {"containers": [{"name": "c", "image": "i"}, injected], "nodeName": "n"}
    assert observed(inputs, live(spec=spec)) == inputs


def test_another_value_and_a_missing_one_are_drift() -> None:
    inputs = {"spec": {"replicas": 1, "paused": True, "items": ["a", "b"]}}
    seen = observed(inputs, live(spec={"replicas": 3, "items": ["a"]}))
    assert seen == {"spec": {"replicas": 3, "items": ["a"]}}


@pytest.mark.parametrize("empty", [None, False, 0, "", [], {}])
def test_what_says_nothing_may_be_missing(empty: object) -> None:
    assert observed({"spec": {"a": empty}}, live(spec={})) == {"spec": {"a": empty}}


def test_the_same_amount_stays_as_the_program_writes_it() -> None:
    written = {"spec": {"each": [{"cpu": "0.5"}]}}
    assert observed(written, live(spec={"each": [{"cpu": "500m"}]})) == written
    other = {"spec": {"each": [{"cpu": "501m"}]}}
    assert observed(written, live(spec=other["spec"])) == other


def test_text_that_only_looks_like_the_same_amount_is_drift() -> None:
    assert observed({"data": {"a": "0.5"}}, live(data={"a": "500m"})) == {"data": {"a": "500m"}}


def test_a_value_of_another_shape_is_drift() -> None:
    for inputs, seen in (({"a": 1}, ["b"]), (["b"], {"a": 1}), ("a", {"a": 1}), ({"a": 1}, "a")):
        assert observed({"data": inputs}, live(data=seen)) == {"data": seen}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.5", "500m", True),
        (1, "1000m", True),
        ("1Gi", "1073741824", True),
        ("1G", "1e9", True),
        ("1G", "1Gi", False),
        (".5", "5e-1", True),
        ("-1", "1", False),
        (True, 1, False),
        ("abc", "abc", False),
        (None, None, False),
    ],
)
def test_amounts_are_compared_by_what_they_are(one: object, other: object, same: bool) -> None:
    assert same_quantity(one, other) is same


def test_what_is_written_to_a_secret_is_read_back_from_its_data() -> None:
    inputs = {"kind": "Secret", "stringData": {"a": "b", "gone": "c"}}
    assert observed(inputs, live(kind="Secret", data={"a": "Yg==", "more": "eA=="})) == {
        "kind": "Secret",
        "stringData": {"a": "b"},
    }
    assert observed({"kind": "Secret", "data": {}}, live(kind="Secret", data={"a": "Yg=="})) == {
        "kind": "Secret",
        "data": {},
    }
    assert observed({"stringData": {"a": "b"}}, live(data={"a": "Yg=="})) == {}
    assert observed({"kind": "Secret", "stringData": {"a": "b"}}, live(data={"a": "Y g=="})) == {
        "kind": "Pod",
        "stringData": {"a": "Y g=="},
    }
    drifted = observed(inputs, live(kind="Secret", data={"a": "//8="}))
    assert drifted["stringData"] == {"a": "//8="}


def test_an_import_takes_all_but_what_the_server_owns() -> None:
    annotations = {"a": "b", "deployment.kubernetes.io/revision": "3", LAST_APPLIED: "{}"}
    found = live(status={"x": 1}, spec={"y": 2})
    found["metadata"] |= {"annotations": annotations, "generation": 1, "managedFields": []}
    assert imported(found) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "n", "annotations": {"a": "b"}},
        "spec": {"y": 2},
    }
    bare = {"name": "a", "namespace": "n"}
    assert imported(live()) == {"apiVersion": "v1", "kind": "Pod", "metadata": bare}


def test_all_that_a_secret_holds_is_secret() -> None:
    held = {"kind": "Secret", "data": {"a": "b"}, "stringData": {"c": Secret("d")}, "type": "t"}
    assert marked(held, {}) == {
        "kind": "Secret",
        "data": Secret({"a": "b"}),
        "stringData": Secret({"c": "d"}),
        "type": "t",
    }


def test_secrets_of_the_program_stay_secret_and_a_list_with_one_becomes_one() -> None:
    inputs = {
        "data": {"a": Secret("s"), "b": "open"},
        "args": ["x", {"y": Secret("z")}],
        "missing": Secret("m"),
    }
    plain = {"data": {"a": "s", "b": "open"}, "args": ["x", {"y": "z"}], "more": 1}
    assert marked(plain, inputs) == {
        "data": {"a": Secret("s"), "b": "open"},
        "args": Secret(["x", {"y": "z"}]),
        "more": 1,
    }


def test_state_holds_the_object_and_what_the_official_provider_keeps_beside_it() -> None:
    found = live(spec={"x-kubernetes-list-type": "set"})
    found["metadata"]["annotations"] = {LAST_APPLIED: "hunter2", "a": "b"}
    inputs = {"kind": "Pod", "spec": {"a": Secret("b")}}
    kept = state(inputs, found, "manager-1")
    assert kept["__inputs"] == inputs
    assert (kept["__fieldManager"], kept["__initialApiVersion"]) == ("manager-1", "v1")
    assert kept["spec"] == {"x_kubernetes_list_type": "set"}
    assert kept["metadata"]["annotations"] == {"a": "b"}
    assert live_of(kept) == found | {"metadata": kept["metadata"]}


def test_a_manifest_has_no_marks_and_the_names_of_the_api() -> None:
    inputs = {"spec": {"schema": {"x_kubernetes_int_or_string": Secret(True)}, "x_other": 1}}
    assert manifest(inputs) == {
        "spec": {"schema": {"x-kubernetes-int-or-string": True}, "x_other": 1}
    }


def test_an_annotation_that_is_missing_or_not_known_yet_is_empty() -> None:
    for metadata in ({}, {"annotations": None}, {"annotations": UNKNOWN}, UNKNOWN):
        assert annotation({"metadata": metadata}, "a") == ""
    for text in (UNKNOWN, None):
        assert annotation({"metadata": {"annotations": {"a": text}}}, "a") == ""
    assert annotation({"metadata": Secret({"annotations": {"a": "b"}})}, "a") == "b"
    assert annotation({}, "a") == ""


def test_a_secret_that_changed_its_shape_stays_secret() -> None:
    assert marked({"a": "b"}, {"a": {"c": Secret("d")}}) == {"a": Secret("b")}
    assert marked({"a": {"c": "d"}}, {"a": Secret("b")}) == {"a": Secret({"c": "d"})}


def test_names_are_translated_inside_lists() -> None:
    inputs = {"versions": [{"x_kubernetes_validations": []}]}
    assert manifest(inputs) == {"versions": [{"x-kubernetes-validations": []}]}


def test_an_id_is_the_namespace_and_the_name() -> None:
    assert identity(live()) == "n/a"
    assert identity({"metadata": {"name": "a"}}) == "a"
    assert parsed("n/a") == ("n", "a")
    assert parsed("a") == ("", "a")
