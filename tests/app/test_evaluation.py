"""An evaluation looks at slices, groups, noise and the champion, and says what it does not know."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA, Trained
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from app import champion, console, evaluate, evidence, importance, plots, robustness, slices
from app.definition import Grouping
from app.schema import Category
from app.serving import model as served

SOURCE = {"key": "data/x.parquet", "versionId": "1", "sha256": "0", "commit": "c", "dirty": False}


@pytest.fixture(scope="module")
def scored(loans: pd.DataFrame, trained: Trained) -> evaluate.Scored:
    loaded = served.load(trained.folder, trained.weights)
    return evaluate.score(MODEL.dataset, loans, loaded)


def _made(
    scored: evaluate.Scored, labels: np.ndarray, scores: np.ndarray, words: list[str]
) -> tuple[evaluate.Scored, Grouping]:
    """Rows with these labels and scores, and a split of them by these words."""
    rows = scored.only(np.arange(len(labels)))
    made = replace(rows, labels=labels, scores=scores, threshold=0.5)
    return made, Grouping(name="split", of=lambda _: pd.Series(words))


@pytest.mark.slow
def test_the_same_model_and_snapshot_give_the_same_evidence(
    loans: pd.DataFrame, loaded: served.Model, trained: Trained
) -> None:
    source = {**SOURCE, "weights": trained.weights}
    first = evidence.collect(MODEL, loans, loaded, source)
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    again = evidence.collect(MODEL, loans, loaded, source)
    assert again == first
    # Nor does it change what others draw.
    assert np.random.random() == expected
    assert set(evidence.OF_TRAINING) == first.files.keys()
    assert all(content.startswith(b"\x89PNG") for content in first.plots.values())


def test_every_row_is_in_exactly_one_slice(scored: evaluate.Scored) -> None:
    found = slices.slices(scored, MODEL.slices)
    assert found.keys() == {"grade", "term", "state", "income", "verification"}
    for groups in found.values():
        assert sum(part["rows"] for part in groups.values()) == 400
        assert sum(part["positives"] for part in groups.values()) == 21


def test_the_auc_of_a_slice_is_that_of_its_rows_alone(scored: evaluate.Scored) -> None:
    part = scored.only((scored.table["term"] == "term_36").to_numpy())
    found = slices.slices(scored, MODEL.slices)["term"]["term_36"]
    expected = roc_auc_score(part.labels, part.scores)
    assert found["auc"]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["auc"]["low"] < expected < found["auc"]["high"]


def test_a_slice_of_few_rows_has_no_auc(scored: evaluate.Scored) -> None:
    labels = np.array([0] * 50 + [1] * 9)
    words = ["many"] * 29 + ["few"] * 21 + ["many"] * 5 + ["few"] * 4
    made, split = _made(scored, labels, np.linspace(0, 1, 59), words)
    found = slices.slices(made, (split,))["split"]
    assert found["many"]["auc"] is not None
    assert found["few"]["auc"] is None


def test_rows_that_a_split_does_not_know_are_a_group_of_their_own(scored: evaluate.Scored) -> None:
    labels = np.array([0, 1, 0])
    made, _ = _made(scored, labels, np.array([0.1, 0.9, 0.2]), [])
    split = Grouping(name="split", of=lambda table: pd.Series(["a", None, "a"], index=table.index))
    found = slices.slices(made, (split,))["split"]
    assert found["unknown"]["rows"] == 1


DECISIONS = st.lists(
    st.tuples(st.integers(0, 1), st.booleans(), st.sampled_from("abc")), min_size=60, max_size=90
)


@pytest.mark.slow
@settings(max_examples=25)
@given(DECISIONS)
def test_differences_between_groups_are_fairlearns(
    scored: evaluate.Scored, rows: list[tuple[int, bool, str]]
) -> None:
    # Each group with enough of both classes.
    rows = rows + [(label, False, word) for word in "abc" for label in (0, 1)] * slices.ENOUGH
    labels = np.array([label for label, _, _ in rows])
    called = np.array([call for _, call, _ in rows])
    words = [word for _, _, word in rows]
    made, split = _made(scored, labels, np.where(called, 0.9, 0.1), words)
    found = slices.fairness(made, (split,))["sensitive"]["split"]
    for name, function in (
        ("demographic_parity_difference", demographic_parity_difference),
        ("equalized_odds_difference", equalized_odds_difference),
    ):
        expected = function(labels, called.astype(int), sensitive_features=words)
        assert found[name]["value"] == pytest.approx(expected, abs=1e-6)
    codes = np.unique(words, return_inverse=True)[1]
    # What chance is measured by must be the same figure.
    by_hand = slices._gaps(codes, labels, called.astype(np.int64))
    assert {name: round(gap, 6) for name, gap in by_hand.items()} == {
        name: found[name]["value"] for name in by_hand
    }


def test_unequal_treatment_exceeds_chance_and_equal_treatment_does_not(
    scored: evaluate.Scored,
) -> None:
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 2, 300)
    words = draw.choice(["left", "right"], 300).tolist()
    fair, split = _made(scored, labels, draw.random(300), words)
    favoured = np.where(np.array(words) == "left", fair.scores * 0.5, fair.scores)
    for made, unfair in ((fair, False), (replace(fair, scores=favoured), True)):
        found = slices.fairness(made, (split,))["sensitive"]["split"]
        gap = found["demographic_parity_difference"]
        assert (gap["value"] > gap["by_chance"]) == unfair


def test_a_group_that_is_too_small_enters_no_difference(scored: evaluate.Scored) -> None:
    labels = np.array([0, 1] * 30)
    # Four rows of each class, all of them called positive.
    scores = np.array([0.1] * 52 + [0.9] * 8)
    made, split = _made(scored, labels, scores, ["a"] * 26 + ["b"] * 26 + ["c"] * 8)
    found = slices.fairness(made, (split,))["sensitive"]["split"]
    assert found["too_small"] == ["c"]
    assert found["groups"]["c"]["selection_rate"] == 1
    assert found["demographic_parity_difference"]["value"] == 0
    only, split = _made(scored, labels, scores, ["a"] * 59 + ["c"])
    alone = slices.fairness(only, (split,))["sensitive"]["split"]
    assert alone["demographic_parity_difference"] is None
    assert alone["equalized_odds_difference"] is None
    assert alone["groups"]["c"]["false_positive_rate"] is None


@given(st.sampled_from([*robustness.LEVELS, 1.0]), st.integers(0, 99))
def test_disturbed_rows_are_still_allowed(scored: evaluate.Scored, level: float, seed: int) -> None:
    noisy = robustness.disturb(SCHEMA, scored.matrix, level, np.random.default_rng(seed))
    assert noisy.shape == scored.matrix.shape
    assert (noisy != scored.matrix).any()
    for place, feature in enumerate(SCHEMA.features):
        values = noisy[:, place]
        if isinstance(feature, Category):
            assert set(values) <= set(range(len(feature.values)))
        else:
            low, high = feature.low, feature.high
            assert (values >= (np.log1p(low) if feature.log else low) - 1e-6).all()
            assert (values <= (np.log1p(high) if feature.log else high) + 1e-6).all()


def test_more_noise_changes_more_decisions(loaded: served.Model, scored: evaluate.Scored) -> None:
    levels = robustness.robustness(loaded, scored)
    assert [level["noise"] for level in levels] == list(robustness.LEVELS)
    changes = [level["decisions_changed"] for level in levels]
    assert changes == sorted(changes)
    assert changes[0] < 0.05 < changes[-1]


def test_a_better_model_is_told_from_an_equal_one(scored: evaluate.Scored) -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2, 400)
    good = np.clip(labels * 0.3 + draw.random(400) * 0.7, 0.01, 0.99)
    better = replace(scored, labels=labels, scores=good, threshold=0.5)
    chance = replace(scored, labels=labels, scores=draw.random(400), threshold=0.5)
    gain = evaluate.compare(labels, better.scores, better.threshold, chance)["auc"]
    assert gain["low"] > 0
    none = evaluate.compare(labels, better.scores, better.threshold, better)
    assert all(set(figure.values()) == {0} for figure in none.values())
    swapped = evaluate.compare(labels, chance.scores, chance.threshold, better)["auc"]
    assert swapped["value"] == pytest.approx(-gain["value"], abs=1e-6)


def test_a_champion_that_cannot_be_loaded_is_named_with_the_reason(
    scored: evaluate.Scored,
) -> None:
    broken = champion.Champion(version=3, alias="dev", model="its files are gone")
    found = champion.compare(MODEL, broken, scored)
    assert found == {"version": 3, "alias": "dev", "incomparable": "its files are gone"}


def test_a_champion_of_other_features_is_incomparable(
    scored: evaluate.Scored, loaded: served.Model
) -> None:
    found = champion.Champion(version=3, alias="dev", model=loaded)
    poorer = replace(scored, table=scored.table.drop(columns="term"))
    document = champion.compare(MODEL, found, poorer)
    assert "does not take today's rows" in document["incomparable"]
    wider = replace(scored, table=scored.table.assign(int_rate=500.0))
    assert "int_rate: range" in champion.compare(MODEL, found, wider)["incomparable"]


def test_drawing_leaves_nothing_behind(scored: evaluate.Scored) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    before = dict(mpl.rcParams)
    first = [draw(scored) for draw in DRAWINGS]
    with mpl.rc_context({"lines.linewidth": 9}):
        assert [draw(scored) for draw in DRAWINGS] == first
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


DRAWINGS: list[Callable[[evaluate.Scored], bytes]] = [
    plots.roc,
    plots.precision_recall,
    plots.calibration,
]


def test_shapley_values_add_up_to_the_scores(loaded: served.Model, scored: evaluate.Scored) -> None:
    explained = importance.explain(loaded, scored.matrix, scored.matrix[:30])
    found = explained.values.sum(1) + explained.base_values
    assert found == pytest.approx(scored.scores[:30], abs=1e-5)
    ranking = importance.ranking(explained)
    assert ranking.keys() == set(SCHEMA.names)
    assert list(ranking.values()) == sorted(ranking.values(), reverse=True)


@pytest.mark.slow
def test_metrics_json_holds_the_figures_that_a_gate_needs(
    loans: pd.DataFrame, loaded: served.Model, trained: Trained
) -> None:
    found = evidence.collect(MODEL, loans, loaded, {**SOURCE, "weights": trained.weights})
    metrics = json.loads(found.files["metrics.json"])
    assert metrics["metrics"] == trained.evidence["evaluation"]["metrics"]
    contract = json.loads(found.files["contract.json"])
    assert contract["features"] == SCHEMA.hash()
    assert contract["schema"] == SCHEMA.document()


def test_one_class_cannot_be_evaluated() -> None:
    with pytest.raises(console.Refused, match="one class"):
        evaluate.measure(np.zeros(10, np.int64), np.full(10, 0.5), 0.5, 0.1)
