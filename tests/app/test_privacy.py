"""The audit sees a model that remembers its rows, and is not alarmed by one that does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA, Trained

from app import evaluate, fit, privacy
from app.serving import model as served


@pytest.fixture(scope="module")
def parts(loans: pd.DataFrame, trained: Trained) -> tuple[evaluate.Scored, evaluate.Scored]:
    """What was trained on and what was held out."""
    loaded = served.load(trained.folder, trained.weights)
    scored = evaluate.score(MODEL.dataset, loans, loaded)
    mask = evaluate.held_out(MODEL.dataset, loans)
    return scored.only(~mask), scored.only(mask)


def test_a_model_that_remembers_its_rows_is_found_out(
    parts: tuple[evaluate.Scored, evaluate.Scored],
) -> None:
    trained_on, held_out = parts
    # Certain of what it has seen, and of nothing else.
    remembering = replace(trained_on, scores=np.where(trained_on.labels == 1, 0.99, 0.01))
    guessing = replace(held_out, scores=np.full(len(held_out.labels), 0.5))
    found = privacy.membership(SCHEMA, remembering, guessing)
    assert found["members"] == 302
    assert found["strangers"] == 98
    assert found["threshold"]["auc"]["low"] > 0.9
    assert found["threshold"]["advantage"]["low"] > 0.9


@pytest.mark.parametrize(("strength", "betrays"), [(100.0, True), (1e-6, False)])
def test_the_likelihood_attack_finds_labels_learnt_by_heart(
    parts: tuple[evaluate.Scored, evaluate.Scored],
    monkeypatch: pytest.MonkeyPatch,
    strength: float,
    betrays: bool,
) -> None:
    """Labels drawn by lot can only be learnt by heart, which regularisation forbids."""
    monkeypatch.setattr(fit, "C", strength)
    draw = np.random.default_rng(2)
    trained_on, held_out = (
        replace(part, labels=draw.integers(0, 2, len(part.labels))) for part in parts
    )
    model = fit.pipeline(SCHEMA).fit(trained_on.matrix, trained_on.labels)
    audited = [
        replace(part, scores=model.predict_proba(part.matrix)[:, 1])
        for part in (trained_on, held_out)
    ]
    found = privacy.membership(SCHEMA, *audited)["likelihood_ratio"]
    assert (found["auc"]["low"] > 0.5) == betrays


def test_an_attack_on_scores_drawn_by_lot_is_a_coin(
    parts: tuple[evaluate.Scored, evaluate.Scored],
) -> None:
    draw = np.random.default_rng(3)
    blind = [replace(part, scores=draw.uniform(0.01, 0.99, len(part.labels))) for part in parts]
    found = privacy.membership(SCHEMA, *blind)
    for attack in ("threshold", "likelihood_ratio"):
        assert found[attack]["auc"]["low"] < 0.5 < found[attack]["auc"]["high"]
        assert found[attack]["advantage"]["low"] < 0 < found[attack]["advantage"]["high"]


def test_each_row_is_in_half_of_the_shadow_models(
    parts: tuple[evaluate.Scored, evaluate.Scored],
) -> None:
    halves = privacy._halves(parts[0].labels)
    assert (halves.sum(0) == privacy.SHADOWS / 2).all()
    for half in halves:
        assert set(parts[0].labels[half]) == {0, 1}


def test_privacy_costs_accuracy_and_less_of_it_costs_less(
    parts: tuple[evaluate.Scored, evaluate.Scored], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "EPSILONS", (0.01, 1e6))
    everything = replace(
        parts[0],
        matrix=np.repeat(parts[0].matrix, 5, axis=0),
        labels=np.repeat(parts[0].labels, 5),
    )
    exact, dear, cheap = privacy.private_baseline(SCHEMA, everything, parts[0])
    assert exact["epsilon"] is None
    assert abs(dear["auc"] - 0.5) < 0.1
    assert cheap["auc"] == pytest.approx(exact["auc"], abs=1e-3)


def test_the_private_baseline_sees_rows_of_norm_one_at_most(
    parts: tuple[evaluate.Scored, evaluate.Scored],
) -> None:
    rows = privacy._bounded(SCHEMA, parts[0].matrix)
    assert (np.linalg.norm(rows, axis=1) <= 1 + 1e-12).all()


def test_the_noise_has_the_papers_mean_length(
    parts: tuple[evaluate.Scored, evaluate.Scored],
) -> None:
    draw = np.random.default_rng(1)
    lengths = [np.linalg.norm(privacy.noise(20, 1000, 2.0, draw)) for _ in range(4000)]
    # Gamma distributed: shape is the dimension, scale 2 / (n lambda epsilon).
    assert np.mean(lengths) == pytest.approx(
        20 * 2 / (1000 * privacy.REGULARISATION * 2.0), rel=0.02
    )
    directions = [privacy.noise(2, 1000, 2.0, draw) for _ in range(4000)]
    assert np.abs(np.mean([way / np.linalg.norm(way) for way in directions], axis=0)).max() < 0.05
