"""Training is reproducible, honest about its quality, and equal in ONNX."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA, SHA256, Trained
from sklearn import metrics
from sklearn.pipeline import Pipeline

from app import console, convert, evaluate, fit, schema, train, weights
from app.serving import model as served


@pytest.fixture(scope="session")
def matrix(loans: pd.DataFrame) -> schema.Matrix:
    return SCHEMA.from_columns(MODEL.dataset.columns(loans))


@pytest.fixture(scope="session")
def labels(loans: pd.DataFrame) -> fit.Labels:
    return MODEL.dataset.labels(loans)


@pytest.fixture(scope="session")
def fitted(matrix: schema.Matrix, labels: fit.Labels) -> fit.Fitted:
    return fit.fit(SCHEMA, matrix, labels)


def test_the_same_snapshot_gives_the_same_weights(
    loans: pd.DataFrame, trained: Trained, tmp_path: Path
) -> None:
    _, evidence = train.build(MODEL, loans, SHA256, tmp_path)
    assert evidence == trained.evidence
    assert weights.digest(tmp_path) == trained.weights


def test_other_loans_give_other_weights(
    loans: pd.DataFrame, trained: Trained, tmp_path: Path
) -> None:
    _, evidence = train.build(MODEL, loans.drop(index=[0, 1, 2]), SHA256, tmp_path)
    assert evidence["weights"] != trained.weights


def test_a_model_is_its_three_files(trained: Trained) -> None:
    assert sorted(path.name for path in trained.folder.iterdir()) == sorted(weights.MODEL_FILES)


def test_every_probability_is_one(loaded: served.Model, matrix: schema.Matrix) -> None:
    scores = loaded.score(matrix)
    assert scores.shape == (400,)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_onnx_equals_scikit_learn_on_every_loan(fitted: fit.Fitted, matrix: schema.Matrix) -> None:
    graph = convert.convert(fitted.pipeline, "test", len(SCHEMA.features))
    assert convert.largest_difference(graph, fitted.pipeline, matrix) < 1e-6
    assert [output.name for output in graph.graph.output] == ["probability"]


def test_a_conversion_that_differs_is_refused(
    fitted: fit.Fitted, matrix: schema.Matrix, labels: fit.Labels
) -> None:
    graph = convert.convert(fitted.pipeline, "test", len(SCHEMA.features))
    other: Pipeline = fit.fit(SCHEMA, matrix[100:], labels[100:]).pipeline
    with pytest.raises(console.Refused, match="differ by"):
        convert.largest_difference(graph, other, matrix)


def test_the_threshold_separates_better_than_calling_everything_good(
    fitted: fit.Fitted, matrix: schema.Matrix, labels: fit.Labels
) -> None:
    scores = fitted.pipeline.predict_proba(matrix)[:, 1]
    found = evaluate.measure(labels, scores, fitted.threshold, fitted.base_rate)
    assert found["metrics"]["balanced_accuracy"]["value"] > 0.6
    assert found["baseline"]["balanced_accuracy"] == 0.5


def test_probabilities_are_calibrated_in_the_large(
    fitted: fit.Fitted, matrix: schema.Matrix, labels: fit.Labels
) -> None:
    assert fitted.pipeline.predict_proba(matrix)[:, 1].mean() == pytest.approx(
        labels.mean(), abs=1e-4
    )


def test_training_and_held_out_loans_are_apart_whatever_else_is_in_the_table(
    loans: pd.DataFrame,
) -> None:
    held_out = [loan for loan in loans["loan_id"] if evaluate.is_held_out(loan)]
    assert 0.15 < len(held_out) / len(loans) < 0.35
    assert all(evaluate.is_held_out(loan) for loan in held_out)


def test_metrics_of_a_perfect_and_a_useless_score() -> None:
    truth = np.array([0, 1] * 50)
    perfect = evaluate.measure(truth, truth * 0.8 + 0.1, 0.5, 0.5)["metrics"]
    assert perfect["auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert perfect["accuracy"]["value"] == 1.0
    noise = np.random.default_rng(1).uniform(0.01, 0.99, 100)
    useless = evaluate.measure(truth, noise, 0.5, 0.5)["metrics"]["auc"]
    assert useless["low"] < 0.5 < useless["high"]


def test_metrics_are_scikit_learns() -> None:
    draw = np.random.default_rng(2)
    truth, scores = draw.integers(0, 2, 300), draw.uniform(0.01, 0.99, 300).round(2)
    found = evaluate.measure(truth, scores, 0.3, 0.5)["metrics"]
    expected = {
        "auc": metrics.roc_auc_score(truth, scores),
        "log_loss": metrics.log_loss(truth, scores),
        "brier": metrics.brier_score_loss(truth, scores),
        "accuracy": metrics.accuracy_score(truth, scores >= 0.3),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, scores >= 0.3),
    }
    assert {name: metric["value"] for name, metric in found.items()} == pytest.approx(
        expected, abs=1e-6
    )
    assert all(metric["low"] < metric["value"] < metric["high"] for metric in found.values())


def test_the_baseline_calls_everyone_good() -> None:
    truth = np.array([1] * 5 + [0] * 95)
    baseline = evaluate.measure(truth, np.linspace(0.9, 0.1, 100), 0.5, 0.05)["baseline"]
    assert baseline["accuracy"] == 0.95
    assert baseline["auc"] == 0.5


def test_one_class_cannot_be_evaluated() -> None:
    with pytest.raises(console.Refused, match="one class"):
        evaluate.measure(np.zeros(10, np.int64), np.full(10, 0.5), 0.5, 0.1)


def _rewrite(folder: Path, name: str, **changes: object) -> str:
    path = folder / name
    document: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **changes}))
    return weights.digest(folder)


def test_a_changed_byte_is_refused(folder: Path, trained: Trained) -> None:
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(served.Unfit, match=f"release says {trained.weights}"):
        served.load(folder, trained.weights)


def test_a_file_too_many_is_refused(folder: Path, trained: Trained) -> None:
    (folder / "extra").touch()
    with pytest.raises(served.Unfit, match="digest"):
        served.load(folder, trained.weights)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(served.Unfit, match="cannot be digested"):
        served.load(tmp_path / "none", "sha256:0")


@pytest.mark.parametrize(
    "damaged", [{}, {"features": [{"type": "word"}], "target": {}}, {"features": 1, "target": {}}]
)
def test_a_schema_that_cannot_be_read_is_refused(folder: Path, damaged: dict[str, object]) -> None:
    digest = _rewrite(folder, "model.json", schema=damaged)
    with pytest.raises(served.Unfit, match="metadata cannot be read"):
        served.load(folder, digest)


def test_a_failed_self_test_is_refused(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    shifted = [golden["probabilities"][0] + 1e-4, *golden["probabilities"][1:]]
    digest = _rewrite(folder, "golden.json", probabilities=shifted)
    with pytest.raises(served.Unfit, match=r"self-test differs by 0\.0001"):
        served.load(folder, digest)


@pytest.mark.parametrize("changes", [{"rows": []}, {"probabilities": []}])
def test_a_self_test_without_rows_is_refused(folder: Path, changes: dict[str, object]) -> None:
    digest = _rewrite(folder, "golden.json", **changes)
    with pytest.raises(served.Unfit, match="at least one row"):
        served.load(folder, digest)


def test_a_file_that_is_no_graph_is_refused(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(served.Unfit, match="onnxruntime cannot load it"):
        served.load(folder, weights.digest(folder))


def test_metadata_that_is_not_readable_is_refused(folder: Path) -> None:
    (folder / "model.json").write_text("{}")
    with pytest.raises(served.Unfit, match="metadata cannot be read"):
        served.load(folder, weights.digest(folder))
