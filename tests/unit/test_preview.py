"""A preview without an engine: the difference of two recordings, its cost, its comment."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.prices import Prices
from policy.pack import violations
from policy.rule import Resource
from preview.cost import monthly, quantity
from preview.difference import Change, Step, changed, steps
from preview.markdown import StackPreview, page
from preview.record import concealed

ROOT = Path(__file__).parents[2]
PRICES = Prices(
    currency="USD", as_of=date(2026, 11, 24), source="a table", cpu=30.0, memory=3.0, volume=0.1
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def recorded(
    urn: str, kind: str = "kubernetes:apps/v1:Deployment", **props: object
) -> dict[str, Any]:
    return {"urn": urn, "type": kind, "name": urn, "parent": "", "protect": False, "props": props}


def workload(kind: str, name: str, *, replicas: int | None = None, **asked: str) -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": asked}}
    spec: dict[str, Any] = {"template": {"spec": {"containers": [container]}}}
    if replicas is not None:
        spec["replicas"] = replicas
    return recorded(name, f"kubernetes:apps/v1:{kind}", metadata={"name": name}, spec=spec)


def test_what_is_only_in_the_new_recording_is_created_and_what_is_only_in_the_old_deleted() -> None:
    found = steps([recorded("a"), recorded("b")], [recorded("b"), recorded("c")])
    assert [(each.does, each.name) for each in found] == [("create", "c"), ("delete", "a")]


def test_a_changed_resource_tells_the_innermost_properties() -> None:
    before = recorded("a", spec={"replicas": 1, "image": "m:1", "args": ["x", "y"]})
    after = recorded("a", spec={"image": "m:2", "args": ["x"], "paused": None})
    (step,) = steps([before], [after])
    assert step.does == "update"
    assert {each.path: (each.before, each.after) for each in step.changes} == {
        "spec.args[1]": ("y", None),
        "spec.image": ("m:1", "m:2"),
        "spec.paused": (None, None),
        "spec.replicas": (1, None),
    }


def test_a_lost_protection_is_a_change() -> None:
    (step,) = steps([{**recorded("a"), "protect": True}], [recorded("a")])
    assert step.changes == (Change(path="protect", before=True, after=False),)


@given(JSON)
def test_nothing_differs_from_itself(value: object) -> None:
    assert list(changed(value, value)) == []


@given(JSON, JSON)
def test_two_values_differ_in_the_same_places_from_both_sides(one: object, other: object) -> None:
    there = {(each.path, repr(each.before), repr(each.after)) for each in changed(one, other)}
    back = {(each.path, repr(each.after), repr(each.before)) for each in changed(other, one)}
    assert there == back
    assert bool(there) == (json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))


def test_a_secret_is_in_no_recording() -> None:
    marked = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "x"}
    assert concealed({"a": [marked, "y"]}) == {"a": ["[secret]", "y"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2), (1.5, 1.5), ("256Mi", 256 * 2**20), ("1G", 1e9), ("2e3", 2000)],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: str, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "many", "1Xi", "-1", "1 Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


def test_a_workload_costs_what_its_fewest_replicas_ask_for() -> None:
    scaler = recorded(
        "scaler",
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "model"}, "minReplicas": 3},
    )
    claim = recorded(
        "data",
        "kubernetes:core/v1:PersistentVolumeClaim",
        metadata={"name": "data"},
        spec={"resources": {"requests": {"storage": "20Gi"}}},
    )
    costs = monthly(
        [
            workload("Deployment", "model", cpu="500m", memory="1Gi"),
            workload("StatefulSet", "store", cpu="1", memory="512Mi"),
            workload("Deployment", "model-template", replicas=0, cpu="500m", memory="1Gi"),
            scaler,
            claim,
        ],
        PRICES,
    )
    assert costs == pytest.approx(
        {
            "Deployment model": 3 * (15 + 3),
            "StatefulSet store": 30 + 1.5,
            "Deployment model-template": 0,
            "volume data": 2,
        }
    )


def test_a_canary_costs_what_its_template_asks_for() -> None:
    rollout = recorded(
        "model",
        "kubernetes:argoproj.io/v1alpha1:Rollout",
        metadata={"name": "model"},
        spec={"workloadRef": {"name": "model-template"}},
    )
    template = workload("Deployment", "model-template", replicas=0, cpu="1", memory="1Gi")
    assert monthly([rollout, template], PRICES)["Rollout model"] == pytest.approx(33)


def test_a_price_that_is_missing_is_named(tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text('currency = "USD"\nas_of = 2026-11-24\nsource = ""\n[month]\ncpu = 1\n')
    with pytest.raises(ValueError, match=r"prices\.toml: 'memory' is missing"):
        Prices.read(table)


def test_the_table_of_prices_is_whole() -> None:
    assert Prices.read().cpu > Prices.read().memory > Prices.read().volume > 0


UNCHANGED = StackPreview(
    stack="dev",
    resources=2,
    steps=[],
    violations=[],
    before={"Deployment a": 10.0},
    after={"Deployment a": 10.0},
)


def test_an_empty_change_is_one_line() -> None:
    text = page("main", [UNCHANGED], PRICES)
    assert "| dev | 2 | none | kept | 10 USD (+0.00) |" in text
    assert "<details>" not in text


def test_the_comment_tells_steps_rules_and_what_costs_more() -> None:
    change = Change(path="spec.replicas", before=1, after=2)
    bad = Resource(
        type="kubernetes:core/v1:Service", name="open", props={"spec": {"type": "NodePort"}}
    )
    told = replace(
        UNCHANGED,
        steps=[Step(does="update", type="t", name="a", changes=(change,))],
        violations=list(violations([bad]))[:1],
        after={"Deployment a": 20.0},
    )
    text = page("main", [told], PRICES)
    assert "| dev | 2 | ~1 | **1 violations** | 20 USD (+10.00) |" in text
    assert "    spec.replicas: 1 -> 2" in text
    assert "- Deployment a: +10.00 USD a month" in text


def test_a_value_cannot_end_the_block_that_it_is_shown_in() -> None:
    change = Change(path="a", before=None, after="```\n# a heading" + "x" * 200)
    text = page(
        "main",
        [replace(UNCHANGED, steps=[Step(does="update", type="t", name="a", changes=(change,))])],
        PRICES,
    )
    assert text.count("```") == 2
    assert "\n# a heading" not in text
    assert "…" in text


def test_a_revision_that_git_does_not_know_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "preview", "--base", "nowhere", "dev"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_stack_without_a_file_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "preview", "staging"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Pulumi.staging.yaml" in done.stderr


def test_a_stack_is_recorded_alike_alone_and_after_another() -> None:
    def recorded_in(*stacks: str) -> dict[str, list[dict[str, Any]]]:
        done = subprocess.run(
            [sys.executable, "-m", "preview.record", *stacks],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    def by_urn(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {each["urn"]: each for each in found}

    alone, after = recorded_in("prod")["prod"], recorded_in("dev", "prod")["prod"]
    assert len(alone) > 50
    assert by_urn(alone) == by_urn(after)


def test_parts_of_aws_cost_what_the_table_says_and_endpoints_do_in_each_zone() -> None:
    prices = replace(PRICES, each={"NatGateway": 35.0, "VpcEndpoint": 8.0})
    found = monthly(
        [
            recorded("out", "aws:ec2/natGateway:NatGateway"),
            recorded("kms", "aws:ec2/vpcEndpoint:VpcEndpoint", subnetIds=["a", "b", "c"]),
            recorded("s3", "aws:ec2/vpcEndpoint:VpcEndpoint"),
            recorded("nobody", "ferry:aws:NatGateway"),
        ],
        prices,
    )
    assert found == {"NatGateway out": 35.0, "VpcEndpoint kms": 24.0, "VpcEndpoint s3": 0.0}


def test_the_table_prices_the_parts_of_aws_that_are_paid_by_the_hour() -> None:
    found = Prices.read().each.keys()
    assert {"NatGateway", "VpcEndpoint", "Cluster", "Key", "Instance", "ReplicationGroup"} <= found
