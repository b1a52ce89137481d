"""Each gate lets through what keeps its bound, and refuses what is just beyond it or not there."""

import base64
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.outputs import ServedRelease
from infra.settings import Data, Model
from promotion.below import Below
from promotion.dossier import Evidence
from promotion.figures import WORSE
from promotion.gates import LATE_CLOCK, Wanted, judge
from promotion.record import Gate, Moved, Record
from promotion.release import Release, digest
from tests.unit.test_release import ZEROS, a_release

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = b"-----BEGIN PUBLIC KEY-----\n"
SIGNER = digest(KEY)
DATA = "2" * 64
SECTIONS = (
    "Intended use", "Limits", "Data", "Performance", "Features", "Slices", "Fairness",
    "Robustness", "Privacy",
)  # fmt: skip


def figure(value: float, width: float = 0.02) -> dict[str, float]:
    return {"value": value, "low": value - width, "high": value + width}


def documents(**changes: object) -> dict[str, Any]:
    """What a good release leaves; `changes` are by file name without its end."""
    gap = {"value": 0.107, "by_chance": 0.293}
    good: dict[str, Any] = {
        "metrics": {
            "metrics": {"auc": figure(0.74)},
            "champion": {"version": 6, "alias": "dev", "differences": {"auc": figure(0.0)}},
        },
        "validation": {"success": True, "checks": 40, "failures": [], "sha256": DATA},
        "fairness": {
            "sensitive": {
                "region": {
                    "demographic_parity_difference": {"value": 0.009, "by_chance": 0.074},
                    "equalized_odds_difference": gap,
                }
            }
        },
        "privacy": {"membership_inference": {}},
        "contract": {},
        "reference": {},
        "signature": {
            "dsseEnvelope": {"payload": base64.b64encode(b"x").decode(), "signatures": [{}]},
            "verificationMaterial": {"publicKey": {"hint": SIGNER.removeprefix("sha256:")}},
        },
    }
    return {**good, **changes}


def card() -> str:
    bodies = {name: f"About {name}." for name in SECTIONS}
    bodies["Data"] = f"| Weights | {ZEROS} |\n| Its sha256 | {DATA} |"
    parts = [f"## {name}\n\n{body}\n" for name, body in bodies.items()]
    return "\n".join(["# Model card: credit\\-default", "", *parts])


def evidence(*, without: str = "", text: str | None = None, **changes: object) -> Evidence:
    files = {
        f"{name}.json": json.dumps(document).encode()
        for name, document in documents(**changes).items()
    }
    files |= {
        "card.md": (card() if text is None else text).encode(),
        "card.html": b"<html>",
        "signer.pem": KEY,
    }
    listed = {name: digest(content) for name, content in files.items()}
    files.pop(without, None)
    release = Release.model_validate(
        a_release(files=listed, signer=SIGNER, data=Data(key="d", version_id="v", sha256=DATA))
    )
    return Evidence(release=release, files=files, made=NOW - timedelta(days=1))


GOOD = evidence()


def below(**changes: Any) -> Below:  # noqa: ANN401
    pin = GOOD.release.pin()
    moved = Moved.of(pin)
    assert moved is not None
    given: dict[str, Any] = {
        "stack": "dev",
        "pinned": pin,
        "served": ServedRelease.model_validate(moved.model_dump()),
        "answers": {"name": "credit-default", "versions": ["7"]},
        "rolling": False,
        "records": [delivered("live", after=moved)],
    }
    return Below(**{**given, **changes})


def delivered(outcome: str, *, after: Moved | None, before: Moved | None = None) -> Record:
    return Record.model_validate(
        {
            "sequence": 1, "previous": ZEROS, "at": NOW, "stack": "dev", "model": "credit-default",
            "action": "deliver", "who": "a@b", "commit": None, "before": before, "after": after,
            "gates": [], "outcome": outcome, "reason": None,
        }
    )  # fmt: skip


def wanted(*, signers: tuple[str, ...] = (SIGNER,), **bounds: object) -> Wanted:
    given = {"minimum_auc": 0.65, "maximum_fairness_gap": 0.1, "maximum_age": "7d", **bounds}
    model = Model.model_validate({"gates": given})
    return Wanted(model=model, signers=signers, authors=frozenset({"me"}), now=NOW)


def refused(
    found: Evidence = GOOD, stack: Below | None = None, bounds: Wanted | None = None
) -> dict[str, Gate]:
    """The gates that refuse, by name."""
    judged = judge(found, stack or below(), bounds or wanted())
    assert len({gate.name for gate in judged}) == len(judged) == 12
    return {gate.name: gate for gate in judged if not gate.passed}


def metrics(auc: object, champion: object = None) -> dict[str, object]:
    return {"metrics": {"auc": auc}, "champion": champion}


def gap(value: object, chance: object = 0.05) -> dict[str, object]:
    figures = {"value": value, "by_chance": chance}
    parity = {"value": 0.0, "by_chance": 0.05}
    both = {"equalized_odds_difference": figures, "demographic_parity_difference": parity}
    return {"sensitive": {"region": both}}


def test_a_good_release_passes_every_gate() -> None:
    assert refused() == {}


@pytest.mark.parametrize(("low", "passes"), [(0.65, True), (0.6499, False)])
def test_the_bound_is_held_against_the_low_end_of_the_interval(low: float, passes: bool) -> None:
    found = evidence(metrics=metrics({"value": 0.8, "low": low, "high": 0.9}))
    assert ("metric" not in refused(found)) == passes


@pytest.mark.parametrize(("low", "passes"), [(-WORSE, True), (-WORSE - 0.0001, False)])
def test_a_release_may_not_be_inferior_to_the_champion(low: float, passes: bool) -> None:
    difference = {"value": 0.0, "low": low, "high": 0.04}
    champion = {"version": 1, "alias": "dev", "differences": {"auc": difference}}
    found = evidence(metrics=metrics(figure(0.74), champion))
    assert ("champion" not in refused(found)) == passes


@pytest.mark.parametrize("champion", [None, {"incomparable": "another schema"}])
def test_without_a_comparison_an_absolute_bound_must_stand_in(champion: object) -> None:
    found = evidence(metrics=metrics(figure(0.74), champion))
    second = replace(wanted(minimum_auc=None), current=GOOD.release.pin())
    assert set(refused(found, bounds=second)) == {"champion"}
    assert refused(found, bounds=replace(wanted(), current=GOOD.release.pin())) == {}
    assert refused(found, bounds=wanted(minimum_auc=None)) == {}  # the stack's first


@pytest.mark.parametrize(
    "change",
    [{"success": False}, {"success": 1}, {"failures": [{}]}, {"failures": None}, {"checks": 0},
     {"sha256": "3" * 64}],
    ids=str,
)  # fmt: skip
def test_only_data_that_passed_its_own_validation_is_good(change: dict[str, object]) -> None:
    found = evidence(validation={**documents()["validation"], **change})
    assert set(refused(found)) == {"data"}


@pytest.mark.parametrize(
    ("value", "chance", "passes"),
    [(0.15, 0.05, True), (0.1501, 0.05, False), (0.4, 0.3, True), (0.02, 0.3, True)],
)
def test_a_fairness_gap_counts_only_beyond_chance(
    value: float, chance: float, passes: bool
) -> None:
    assert ("fairness" not in refused(evidence(fairness=gap(value, chance)))) == passes


def test_the_worst_of_all_splits_counts() -> None:
    both = gap(0.0)["sensitive"] | {"age": gap(0.9)["sensitive"]["region"]}  # ty: ignore
    assert set(refused(evidence(fairness={"sensitive": both}))) == {"fairness"}


def test_groups_too_small_to_compare_are_not_taken_for_fair() -> None:
    small = gap(0.0)
    small["sensitive"]["region"]["equalized_odds_difference"] = None  # ty: ignore
    assert "too few rows" in refused(evidence(fairness=small))["fairness"].text


@pytest.mark.parametrize("section", SECTIONS)
def test_a_card_without_a_section_or_with_an_empty_one_is_refused(section: str) -> None:
    gone = card().replace(f"## {section}\n", f"### {section}\n")
    assert section in refused(evidence(text=gone))["card"].text
    start, _, rest = card().partition(f"## {section}\n")
    after = rest[rest.index("\n## ") :] if "\n## " in rest else ""
    assert section in refused(evidence(text=f"{start}## {section}\n\n{after}"))["card"].text


@pytest.mark.parametrize("word", [ZEROS, DATA])
def test_a_card_of_another_release_is_refused(word: str) -> None:
    assert set(refused(evidence(text=card().replace(word, "9" * 64)))) == {"card"}


def test_a_signer_who_is_not_allowed_is_refused() -> None:
    assert set(refused(bounds=wanted(signers=(ZEROS,)))) == {"signature"}
    assert refused(bounds=wanted(signers=())) == {}


def test_a_signature_of_another_key_is_refused() -> None:
    other = {**documents()["signature"], "verificationMaterial": {"publicKey": {"hint": "6" * 64}}}
    assert set(refused(evidence(signature=other))) == {"signature"}


def test_an_empty_signature_is_refused() -> None:
    bare = {**documents()["signature"], "dsseEnvelope": {"payload": "eA==", "signatures": []}}
    assert set(refused(evidence(signature=bare))) == {"signature"}


def test_approvals_are_those_of_others() -> None:
    asks = wanted(approvals=2)
    for names, passes in [({"a", "b"}, True), ({"a", "me"}, False), (set(), False)]:
        found = refused(bounds=replace(asks, approvers=frozenset(names)))
        assert ("approvals" not in found) == passes


@pytest.mark.parametrize(
    ("age", "passes"),
    [
        (timedelta(days=7), True),
        (timedelta(days=7, seconds=1), False),
        (-LATE_CLOCK, True),
        (-LATE_CLOCK - timedelta(seconds=1), False),
    ],
)
def test_evidence_is_neither_too_old_nor_from_the_future(age: timedelta, passes: bool) -> None:
    found = replace(GOOD, made=NOW - age)
    assert ("freshness" not in refused(found)) == passes


def test_evidence_of_no_known_age_is_not_fresh() -> None:
    assert set(refused(replace(GOOD, made=None))) == {"freshness"}
    assert refused(replace(GOOD, made=None), bounds=wanted(maximum_age=None)) == {}


def other() -> Moved:
    moved = Moved.of(a_release(version=8).pin())
    assert moved is not None
    return moved


def test_what_is_pinned_below_but_not_served_yet_is_refused() -> None:
    serves = ServedRelease.model_validate(other().model_dump())
    assert {"served", "health"} <= set(refused(stack=below(served=serves)))
    assert "served" in refused(stack=below(served=None))
    assert "served" in refused(stack=below(pinned=None))


@pytest.mark.parametrize(
    "answers", ["no answer: refused", {}, {"versions": ["6"]}, {"versions": 7}]
)
def test_a_model_that_does_not_answer_as_its_version_is_refused(answers: object) -> None:
    assert set(refused(stack=below(answers=answers))) == {"health"}


def test_only_a_release_that_was_delivered_to_the_end_below_passes() -> None:
    mine = Moved.of(GOOD.release.pin())
    live = delivered("live", after=mine)
    for records, passes in [
        ([], False),
        ([delivered("live", after=other())], False),
        ([delivered("failed", after=mine)], False),
        ([live, delivered("rolled-back", before=mine, after=other())], False),
        ([live, delivered("rolled-back", before=other(), after=mine)], True),
    ]:
        assert ("history" not in refused(stack=below(records=records))) == passes
    assert refused(stack=below(records=[], rolling=True)) == {}
    failed = [delivered("failed", after=mine)]
    assert set(refused(stack=below(records=failed, rolling=True))) == {"history"}


GATE_OF = {
    "metrics.json": {"metric", "champion"},
    "validation.json": {"data"},
    "fairness.json": {"fairness"},
    "card.md": {"card"},
    "signature.json": {"signature"},
    "privacy.json": set(),
    "card.html": set(),
    "reference.json": set(),
    "signer.pem": {"signature"},
}


@pytest.mark.parametrize("name", GATE_OF)
def test_a_missing_file_fails_its_gates_with_the_reason(name: str) -> None:
    found = refused(evidence(without=name))
    assert set(found) == GATE_OF[name] | {"evidence"}
    assert all(name in gate.text for gate in found.values())


def test_required_evidence_that_was_never_listed_is_missing() -> None:
    listed = {name: d for name, d in GOOD.release.files.items() if name != "privacy.json"}
    release = GOOD.release.model_copy(update={"files": listed})
    files = {name: GOOD.files[name] for name in listed}
    assert "privacy.json" in refused(replace(GOOD, release=release, files=files))["evidence"].text


NUMBERS = (
    ("metrics", ("metrics", "auc", "low"), "metric"),
    ("metrics", ("metrics", "auc", "value"), "metric"),
    ("metrics", ("metrics", "auc", "high"), "metric"),
    ("metrics", ("champion", "differences", "auc", "low"), "champion"),
    ("validation", ("checks",), "data"),
    ("fairness", ("sensitive", "region", "equalized_odds_difference", "value"), "fairness"),
    ("fairness", ("sensitive", "region", "equalized_odds_difference", "by_chance"), "fairness"),
)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, True, "0.7", None, [], {}], ids=str)
@pytest.mark.parametrize(("file", "path", "gate"), NUMBERS, ids=lambda part: str(part)[-30:])
def test_what_is_no_finite_number_is_refused(
    file: str, path: tuple[str, ...], gate: str, bad: object
) -> None:
    document = documents()[file]
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = bad
    assert set(refused(evidence(**{file: document}))) == {gate}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_evidence_makes_a_traceback_and_damage_never_passes_silently(
    data: st.DataObject,
) -> None:
    file = data.draw(st.sampled_from(["metrics", "validation", "fairness", "signature"]))
    document = documents()[file]
    inner, name = document, None
    while isinstance(inner, dict) and inner:
        name = data.draw(st.sampled_from(sorted(inner)))
        if not isinstance(inner[name], dict) or data.draw(st.booleans()):
            break
        inner = inner[name]
    if data.draw(st.booleans()):
        del inner[name]
        assert set(refused(evidence(**{file: document}))) & {*GATE_OF[f"{file}.json"]} or (
            name in {"region", "version", "alias"}  # nothing is judged by these
        )
    else:
        inner[name] = data.draw(json_values)
        refused(evidence(**{file: document}))


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=40), name=st.sampled_from(sorted(GATE_OF)))
def test_bytes_that_are_no_evidence_are_refused(content: bytes, name: str) -> None:
    files = {**GOOD.files, name: content}
    if GATE_OF[name]:
        assert set(refused(replace(GOOD, files=files))) >= GATE_OF[name]


@settings(deadline=None)
@given(value=st.floats(0, 1), chance=st.floats(0, 1), bound=st.floats(0, 1))
def test_the_fairness_gate_is_the_excess_against_the_bound(
    value: float, chance: float, bound: float
) -> None:
    found = refused(
        evidence(fairness=gap(value, chance)), bounds=wanted(maximum_fairness_gap=bound)
    )
    assert ("fairness" in found) == (round(max(0.0, value - chance), 6) > bound)
