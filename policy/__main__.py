"""The pack that the engine runs: `pulumi preview --policy-pack policy`."""

import sys
from contextlib import suppress
from pathlib import Path

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the engine starts it in here

from policy.pack import RULES, complaints
from policy.rule import Resource, Rule, Stack


def _written(args: ResourceValidationArgs) -> Resource:
    return Resource(
        type=args.resource_type, name=args.name, props=args.props, protect=args.opts.protect
    )


def _made(found: PolicyResource) -> Resource:
    return Resource(
        type=found.resource_type,
        name=found.name,
        props=found.props,
        parent=found.parent.urn if found.parent else "",
        protect=found.opts.protect,
    )


def _alone(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = _written(args)
        for text in complaints(rule, resource, Stack([resource])):
            report(f"{resource}: {text}", None)

    return ResourceValidationPolicy(name=rule.name, description=_told(rule), validate=validate)


def _beside_others(rule: Rule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [_made(each) for each in args.resources]
        stack = Stack(resources)
        for found, resource in zip(args.resources, resources, strict=True):
            # What is not known at a preview is judged at the update.
            with suppress(UnknownValueError):
                for text in complaints(rule, resource, stack):
                    report(f"{resource}: {text}", found.urn)

    return StackValidationPolicy(name=rule.name, description=_told(rule), validate=validate)


def _told(rule: Rule) -> str:
    return f"{rule.says} ({rule.number}; {', '.join(rule.controls)})"


PolicyPack(
    name="ferry",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[_beside_others(rule) if rule.by_others else _alone(rule) for rule in RULES],
)
