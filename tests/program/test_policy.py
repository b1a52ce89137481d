"""The policy pack over whole stacks: they keep it, and it notices whatever breaks it."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from policy.exceptions import EXEMPTIONS, exempt
from policy.pack import RULES, complaints, violations
from policy.rule import Resource, Rule, Stack
from policy.table import page
from tests.program.mutants import MUTATIONS, Mutation, mutants
from tests.program.recorder import PINNED, ROOT, Platform, Recorder

STACKS = ["dev", "prod"]


def resources(seen: Recorder) -> list[Resource]:
    return [Resource.read(each) for each in seen.registered]


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("pins", [{}, PINNED], ids=["empty", "pinned"])
def test_a_stack_keeps_every_rule(platform: Platform, stack: str, pins: dict) -> None:
    assert [str(each) for each in violations(resources(platform(stack, pins)))] == []


def test_every_rule_has_a_number_of_its_own_a_sentence_and_the_controls_behind_it() -> None:
    assert [
        number for number, count in Counter(each.number for each in RULES).items() if count > 1
    ] == []
    for rule in RULES:
        assert rule.says.endswith(".")
        assert rule.controls
        assert rule.kinds


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_broken_property_is_noticed_by_its_rule(platform: Platform, mutation: Mutation) -> None:
    rule = next(each for each in RULES if each.number == mutation.rule)
    tried = [
        (resource, Stack(broken))
        for resource, broken in mutants(mutation, resources(platform("prod", PINNED)))
        if not exempt(rule, resource)
    ]
    assert tried, "no resource of the stack has this property"
    survived = [
        resource.name
        for resource, stack in tried
        if not any(list(complaints(rule, each, stack)) for each in stack.resources)
    ]
    assert survived == []


@pytest.mark.parametrize(
    ("principal", "actions", "notices"),
    [
        ("*", ["s3:GetObject"], True),
        ({"AWS": "*"}, "s3:GetObject", True),
        ({"AWS": "arn:aws:iam::123456789012:role/reader"}, "s3:*", True),
        ({"AWS": "arn:aws:iam::123456789012:role/reader"}, ["s3:GetObject"], False),
    ],
)
def test_a_bucket_policy_names_who_may_do_what(
    principal: str | dict[str, str], actions: str | list[str], notices: bool
) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions}
    props = {"policy": json.dumps({"Statement": [statement]})}
    policy = Resource(type="aws:s3/bucketPolicy:BucketPolicy", name="open", props=props)
    assert [each.rule.number for each in violations([policy])] == (["4"] if notices else [])


def test_a_model_does_not_state_its_number_of_replicas(platform: Platform) -> None:
    whole = resources(platform("prod", PINNED))
    (model,) = (
        each for each in whole if each.kind == "Deployment" and each.name == "credit-default"
    )
    stated = replace(model, props={**model.props, "spec": {**model.props["spec"], "replicas": 2}})
    assert [each.rule.number for each in violations([stated])] == ["51"]


@pytest.mark.parametrize(
    "rule", [each for each in RULES if not each.by_others], ids=lambda rule: rule.name
)
def test_a_rule_that_needs_no_other_resource_looks_at_none(platform: Platform, rule: Rule) -> None:
    for each in resources(platform("dev", PINNED)):
        assert list(complaints(rule, each, Stack([]))) == []


def test_every_exemption_names_rules_that_there_are_and_says_why() -> None:
    numbers = {rule.number for rule in RULES}
    for each in EXEMPTIONS:
        assert set(each.numbers) <= numbers
        assert each.reason.endswith(".")


def test_the_page_of_controls_is_that_of_the_rules() -> None:
    assert (ROOT / "docs" / "controls.md").read_text() == page()
