"""The arithmetic of the Lending Club case: thresholds, weights, and no loan on both sides."""

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import lending_club as case

LABELS = np.array([1, 0, 1, 0, 0, 1, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.6, 0.1])
ONES = np.ones(7)


@pytest.mark.parametrize(("recall", "wrong"), [(0.1, 0), (1 / 3, 0), (0.4, 1), (0.67, 3), (1, 3)])
def test_all_of_one_score_are_called_alike(recall: float, wrong: int) -> None:
    assert case.false_positives(LABELS, SCORES, ONES, recall) == wrong


@given(st.lists(st.integers(0, 3), min_size=7, max_size=7), st.floats(0.05, 1))
def test_a_row_drawn_twice_is_as_two_rows(times: list[int], recall: float) -> None:
    if not (np.array(times) * LABELS).any():
        return
    drawn = np.repeat(np.arange(7), times)
    told = case.false_positives(LABELS, SCORES, np.array(times, float), recall)
    assert told == case.false_positives(LABELS[drawn], SCORES[drawn], np.ones(len(drawn)), recall)


def test_half_as_many_is_a_reduction_of_half() -> None:
    assert case.reduction(200, 100) == 0.5
    assert case.reduction(100, 110) == pytest.approx(-0.1)


def test_the_interval_holds_each_class_in_its_number_and_repeats() -> None:
    labels = np.array([1] * 50 + [0] * 50)
    assert case.interval(labels, lambda times: times[:50].sum()) == (50, 50)
    low, high = case.interval(labels, lambda times: times[:25].sum())
    assert 15 < low < 25 < high < 35
    assert case.interval(labels, lambda times: times[:25].sum()) == (low, high)


@pytest.mark.parametrize("name", case.SCENARIOS)
def test_the_new_population_is_chosen_by_features_alone(name: str, loans: pd.DataFrame) -> None:
    schema = MODEL.schema
    flipped = loans[schema.target].map({schema.positive: "good", schema.negative: "bad"})
    chance = case.SCENARIOS[name](loans)
    assert ((chance > 0) & (chance < 1)).all()
    assert (case.SCENARIOS[name](loans.assign(**{schema.target: flipped})) == chance).all()


def test_no_loan_is_scored_by_a_model_that_learnt_from_it(
    loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels drawn by lot can only be known by heart: no model that did not see them knows them."""
    monkeypatch.setattr("app.fit.C", 100.0)
    lot = np.random.default_rng(1).permutation(np.repeat(["bad", "good"], 200))
    shuffled = loans.assign(Class=lot)
    part = case.partition(shuffled, np.full(len(loans), 0.5), 0)
    labels = MODEL.dataset.labels(shuffled)[part.new]
    for scores in (part.stale[part.new], part.retrained[part.new]):
        assert np.corrcoef(labels, scores)[0, 1] < 0.25
    assert 150 < part.new.sum() < 250
    assert (part.stale[~part.new] == 0).all()
    assert (part.retrained[part.new] > 0).all()


def test_decisions_are_of_new_loans_held_out_alone(loans: pd.DataFrame) -> None:
    new = case.uniform(loans["loan_id"], "population 0") < 0.5
    found = case.decided(loans, new)
    assert (found.asked <= new).all()
    assert 0 < found.asked.sum() < new.sum() / 2
    for called in found.called.values():
        assert (called <= found.asked).all()
    labels = MODEL.dataset.labels(loans)
    recall, wrong = case.rates(labels, [found, found], "stale", np.ones(len(loans)))
    called = found.called["stale"]
    assert wrong == (called & (labels == 0)).sum()
    assert recall == (called & (labels == 1)).sum() / (found.asked & (labels == 1)).sum()
