"""Every alert fires, stays silent just below, resets, and no small change of it goes unnoticed."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitoring import rules
from tests.lab.alerting import batches, budget, models, platform, promtool, recorded
from tests.lab.alerting.batches import ORIGINAL
from tests.lab.alerting.case import Case, Recorded, key
from tests.lab.alerting.promtool import Failures

pytestmark = pytest.mark.lab

RUNBOOKS = "https://example.org/runbooks"
RULES = {key(rule): rule for group in rules.groups(RUNBOOKS) for rule in group["rules"]}
CASES: tuple[Case | Recorded, ...] = (
    *models.CASES,
    *budget.CASES,
    *platform.CASES,
    *recorded.CASES,
)
KILLED = 0.95
"""The share of mutants that must be noticed."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What promtool found wrong of a rule and its mutants."""

    failures: Mapping[str, Failures]

    def wrong(self, name: str) -> bool:
        return any(name in each.names for each in self.failures.values())

    @property
    def text(self) -> str:
        return "\n".join(each.text for each in self.failures.values())


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """All cases of all rules and mutants, in one run."""
    made = {
        name: list(batches.batches(rule, name, [case for case in CASES if case.rule == name]))
        for name, rule in RULES.items()
    }
    every = list(itertools.chain.from_iterable(made.values()))
    failures = promtool.run(every, tmp_path_factory.mktemp("rules"))
    return {
        name: Outcome(failures={batch.name: failures[batch.name] for batch in of})
        for name, of in made.items()
    }


def test_every_case_is_of_a_rule_and_every_rule_has_cases() -> None:
    assert {case.rule for case in CASES} == RULES.keys()


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if "alert" in rule])
def test_an_alert_is_seen_firing_waiting_and_silent_without_series(name: str) -> None:
    looks = [
        look
        for case in CASES
        if case.rule == name and isinstance(case, Case)
        for look in case.looks.values()
    ]
    assert any(looks)
    assert not all(looks)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_does_what_its_cases_say(name: str, outcomes: dict[str, Outcome]) -> None:
    found = outcomes[name]
    assert not found.wrong(ORIGINAL), found.text


def test_mutants_are_noticed(outcomes: dict[str, Outcome]) -> None:
    survivors, number = [], 0
    for name, outcome in outcomes.items():
        for mutant, (change, _) in batches.variants(RULES[name]).items():
            if mutant == ORIGINAL:
                continue
            number += 1
            if not outcome.wrong(mutant):
                survivors.append(f"{name}: {change}")
    killed = 1 - len(survivors) / number
    print(f"\n{number} mutants, {killed:.1%} noticed; not noticed:", *survivors, sep="\n  ")
    assert killed >= KILLED, survivors


def test_promtool_finds_nothing_wrong_with_the_rules(tmp_path: Path) -> None:
    assert promtool.checked(rules.groups(RUNBOOKS), tmp_path) == ""
