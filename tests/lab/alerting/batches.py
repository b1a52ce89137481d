"""Makes batches of cases: each rule beside its mutants, over the same series."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.lab.alerting.case import Case, Recorded
from tests.lab.alerting.mutants import Rule, mutants
from tests.lab.alerting.promtool import Batch

ORIGINAL = "m0"
"""The rule itself; its mutants are m1, m2 and so on."""


def variants(rule: Rule) -> dict[str, tuple[str, Rule]]:
    """The rule and its mutants by name, each with what was changed."""
    bare = {part: given for part, given in rule.items() if part != "annotations"}
    changed = [("nothing", bare), *mutants(bare)]
    kind = "alert" if "alert" in rule else "record"
    return {
        f"m{number}": (change, {**mutant, kind: f"m{number}"})
        for number, (change, mutant) in enumerate(changed)
    }


def batches(rule: Rule, name: str, cases: Sequence[Case | Recorded]) -> Iterator[Batch]:
    """One for each step that the cases have."""
    found = variants(rule)
    rules = [mutant for _, mutant in found.values()]
    for step in dict.fromkeys(case.step or case.every for case in cases):
        yield Batch(
            name=f"{name}-{step}".replace("/", "-").replace(":", "-"),
            step=step,
            rules=rules,
            tests=[
                _test(case, rule.get("labels", {}), list(found))
                for case in cases
                if (case.step or case.every) == step
            ],
        )


def _test(case: Case | Recorded, own: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
    test: dict[str, Any] = {
        "name": case.says,
        "interval": case.every,
        "input_series": [
            {"series": series, "values": values} for series, values in case.series.items()
        ],
    }
    if isinstance(case, Case):
        test["alert_rule_test"] = [
            {
                "eval_time": at,
                "alertname": name,
                "exp_alerts": [{"exp_labels": {**own, **labels}} for labels in fires],
            }
            for at, fires in case.looks.items()
            for name in names
        ]
    else:
        test["promql_expr_test"] = [
            {
                "eval_time": at,
                "expr": f"round({name}, 0.0001)",
                "exp_samples": [
                    {"labels": _labelled(labels, own), "value": value}
                    for labels, value in values.items()
                ],
            }
            for at, values in case.looks.items()
            for name in names
        ]
    return test


def _labelled(labels: str, own: Mapping[str, str]) -> str:
    more = [f'{name}="{value}"' for name, value in own.items()]
    return "{" + ",".join([*filter(None, [labels.strip("{}")]), *more]) + "}"
