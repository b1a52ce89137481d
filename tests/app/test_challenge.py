"""The report of a retraining: why it ran, what it found beside the served version, what is next."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
from typer import Typer
from typer.testing import CliRunner

from app import challenge, snapshots

FIGURES = {"rows": 900, "drifted": ["income", "score"], "psi": {"age": 0.01, "income": 0.31}}
DRIFT = {"kind": "drift", "text": "3 of 5 windows drifted", "figures": FIGURES}
REGISTERED = {
    "model": "credit-default",
    "version": 1,
    "run": "r",
    "data": {"key": "data/lending-club/2016-03-31.parquet"},
}


def figures(value: float, low: float, high: float) -> dict[str, Any]:
    return {"auc": {"value": value, "low": low, "high": high}}


def beside(low: float, high: float) -> dict[str, Any]:
    return {"version": 7, "alias": "dev", "differences": figures((low + high) / 2, low, high)}


@pytest.mark.parametrize(
    ("champion", "says"),
    [
        (None, "first"),
        ({"version": 7, "alias": "dev", "incomparable": "other rows"}, "incomparable"),
        (beside(0.001, 0.02), "better"),
        (beside(-0.02, -0.001), "worse"),
        (beside(-0.01, 0.02), "no different"),
        (beside(0.0, 0.02), "no different"),
        (beside(-0.02, 0.0), "no different"),
    ],
)
def test_the_interval_of_the_difference_judges(champion: dict[str, Any] | None, says: str) -> None:
    assert challenge.verdict(champion) == says


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        (json.dumps(DRIFT), "drift", "3 of 5 windows drifted"),
        ("", "schedule", "its time had come"),
        ("the branch office moved", "asked", "the branch office moved"),
        ("7", "asked", "7"),
        ('{"kind": "x"}', "asked", '{"kind": "x"}'),
    ],
)
def test_the_reason_is_the_watchs_a_persons_or_the_time(given: str, kind: str, text: str) -> None:
    found = challenge.reason(given)
    assert (found["kind"], found["text"]) == (kind, text)


def test_the_page_tells_why_beside_what_and_what_is_next() -> None:
    metrics = {"metrics": figures(0.71, 0.68, 0.74), "champion": beside(0.001, 0.02)}
    page = challenge.page(challenge.report("loans-retrain-1", DRIFT, REGISTERED, metrics, 1.0))
    for part in (
        "# loans-retrain-1: credit-default version 1, better",
        "Why: drift: 3 of 5 windows drifted",
        "Beside: version 7 (dev)",
        "| auc | 0.7100 (0.6800 to 0.7400) | 0.0105 (0.0010 to 0.0200) |",
        "| rows | 900 |\n| drifted | income, score |",
        "| psi of income | 0.310 |\n| psi of age | 0.010 |",
        "`ferry release build credit-default --version 1`",
    ):
        assert part in page


def test_a_page_without_a_champion_or_figures_tells_what_there_is() -> None:
    why = challenge.reason("")
    metrics = {"metrics": figures(0.71, 0.68, 0.74), "champion": None}
    page = challenge.page(challenge.report("j", why, REGISTERED, metrics, 1.0))
    assert "Beside: nothing" in page
    assert "what was seen" not in page
    other = {"version": 7, "alias": "dev", "incomparable": "no column income"}
    metrics = {"metrics": figures(0.71, 0.68, 0.74), "champion": other}
    page = challenge.page(challenge.report("j", why, REGISTERED, metrics, 1.0))
    assert "Not comparable: no column income" in page


@pytest.mark.slow
def test_a_retraining_leaves_its_report_and_tags_and_moves_no_other_alias(
    bucket: snapshots.Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_BUCKET", bucket.name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("JOB_NAME", "credit-default-retrain-1")
    monkeypatch.setenv("RETRAIN_REASON", json.dumps(DRIFT))
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient()
    client.create_experiment("e", artifact_location=f"file://{tmp_path}/artifacts")
    mlflow.set_experiment("e")
    with mlflow.start_run() as run:
        metrics = {"metrics": figures(0.71, 0.68, 0.74), "champion": beside(0.001, 0.02)}
        mlflow.log_dict(metrics, "evidence/metrics.json")
    client.create_registered_model("credit-default")
    client.create_model_version("credit-default", "file:///none", run.info.run_id)
    registered = tmp_path / "version.json"
    registered.write_text(json.dumps({**REGISTERED, "run": run.info.run_id}))

    app = Typer()
    app.command()(challenge.main)
    given = ["--model", "credit-default", "--registered", str(registered)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output

    place = "reports/retraining/credit-default/credit-default-retrain-1"
    assert bucket.keys("reports/") == [f"{place}.json", f"{place}.md"]
    told = json.loads(bucket.get(f"{place}.json") or b"")
    assert (told["kind"], told["verdict"], told["version"]) == ("drift", "better", 1)
    assert told["figures"] == FIGURES
    version = client.get_model_version("credit-default", "1")
    assert {tag: value for tag, value in version.tags.items() if tag.startswith("ferry.")} == {
        "ferry.retraining": "credit-default-retrain-1",
        "ferry.reason": "drift: 3 of 5 windows drifted",
        "ferry.champion": "7",
        "ferry.challenge": "better",
    }
    assert version.aliases == ["challenger"]

    registered.write_text(json.dumps({**REGISTERED, "model": "other"}))
    assert CliRunner().invoke(app, given).exit_code == 3
