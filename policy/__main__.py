"""The pack that the engine runs: `pulumi preview --policy-pack policy`."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the engine starts it in here

from policy.exceptions import exempt
from policy.pack import RULES
from policy.rule import Resource, Rule, Stack


def _resource(found: PolicyResource) -> Resource:
    return Resource(
        type=found.resource_type,
        name=found.name,
        props=found.props,
        parent=found.parent.urn if found.parent else "",
        protect=found.opts.protect,
    )


def _validation(rule: Rule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [_resource(each) for each in args.resources]
        stack = Stack(resources)
        for found, resource in zip(args.resources, resources, strict=True):
            if not exempt(rule, resource):
                # What is not known at a preview is judged at the update.
                with suppress(UnknownValueError):
                    for text in rule.complaints(resource, stack):
                        report(f"{resource.kind} {resource.name}: {text}", found.urn)

    return validate


PolicyPack(
    name="ferry",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        StackValidationPolicy(
            name=rule.name,
            description=f"{rule.says} ({rule.number}; {', '.join(rule.controls)})",
            validate=_validation(rule),
        )
        for rule in RULES
    ],
)
