"""The loop, closed: drifted traffic ends in a better model's version and a report; steady in none.

The rows are the published table's. The steady windows are what the server logged of a sample of it,
written again as traffic of the minutes before, which a watch that starts judges at once, as many as
its rule looks at; the drifted ones are asked of the server itself: the
same table's loans of grades D to G. No outcome is invented.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import loop, outputs, panels
from tests.lab.clone import cloned, purged
from tests.lab.loop import MODEL, SETTLED, STACK, WINDOW, Watched

pytestmark = [pytest.mark.lab, pytest.mark.trial]

JOB = f"{MODEL}-retrain-1"
UNSEEN = {
    *("ferry-delivery: Rollout", "ferry-delivery: Analyses"),
    "ferry-platform: Restarts in an hour",
}
"""The panels of what did not happen here: nothing was delivered by weights, nothing restarted."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A stack that serves a model which it has trained, and watches it."""
    made = cloned(tmp_path_factory.mktemp("loop") / "ferry", STACK, MODEL, Watched)
    made.borrow_libraries()
    made.settle_for(requestSample="1", window="1m", cooldown="1h")
    with purged(made):
        made.make("up")
        made.enter()
        with loop.slack() as address:
            made.tell(address)
            yield made


def test_steady_windows_start_nothing(stack: Watched) -> None:
    became = stack.ask(stack.loans()["all"], 2000)
    stack.until("a log of the requests", 90, lambda: len(stack.logged()) >= 2000)
    stack.move_back(stack.logged(), windows=8)
    stack.restart_watch()
    told = stack.until("a judged window", 90, lambda: _judged(stack.figures()))
    assert told["drift_detected"] == 0
    assert told["drift_window_rows"] >= 2000
    drifts = {
        series: value for series, value in told.items() if series.startswith("feature_drift{")
    }
    assert len(drifts) == 21
    for series, value in drifts.items():
        assert value <= told[series.replace("feature_drift", "feature_drift_threshold")]
    assert sum(value for series, value in told.items() if series.startswith("retrainings")) == 0
    assert stack.jobs() == {}
    assert stack.keys("signals/retraining/") == []
    assert (stack.firing(), loop.told()) == ([], [])

    stack.report(became)
    told = stack.until("the outcomes", 90, lambda: _counted(stack.figures()))
    # The moved rows have none, nor the one that `make up` asks.
    assert told["outcomes_missing_ratio"] == pytest.approx(8 / 9, rel=1e-3)
    assert 0.5 < told['prediction_accuracy{basis="outcomes"}'] < 1


def test_drifted_windows_end_in_a_registered_version_with_its_card_and_a_report(
    stack: Watched,
) -> None:
    risky = stack.loans()["risky"]
    loop.before_a_window_ends(12)
    for pause in (20, *[WINDOW] * 7, 0):  # as many windows as were steady, and more
        stack.ask(risky, 2000)
        time.sleep(pause)
    asked = time.time()

    told = stack.until(
        "the gauge of drift", 2 * WINDOW + SETTLED + 60, lambda: _drifted(stack.figures())
    )
    grade = 'feature_drift{feature="sub_grade"}'
    assert told[grade] > told[grade.replace("feature_drift", "feature_drift_threshold")]
    stack.until("the same in Prometheus", 60, lambda: stack.measured("drift_detected") == 1)
    alert = "FeatureDriftDetected"
    stack.until("the alert", 6 * WINDOW + SETTLED, lambda: alert in stack.firing())
    message = f"[FIRING] {alert} {STACK} {MODEL}"
    stack.until("the alert at its receiver", 120, lambda: message in loop.told())
    print(f"its receiver had the alert {time.time() - asked:.0f} s after the last drifted request")

    job = stack.until("the Job", 2 * WINDOW + 60, lambda: stack.jobs().get(JOB))
    told_why = job["metadata"]["annotations"]["ferry.dev/reason"]
    assert told_why.startswith("drift: 2 of the last")
    assert job["metadata"]["ownerReferences"][0]["name"] == f"{MODEL}-train"
    print(f"the Job began {time.time() - asked:.0f} s after the last drifted request")
    stack.kubectl(
        "wait", "--for=condition=Complete", "--timeout=400s", f"job/{JOB}", "-n", f"{STACK}-jobs"
    )
    print(f"it had ended after {time.time() - asked:.0f} s")

    version = _mlflow(stack, "model-versions/get", name=MODEL, version="2")["model_version"]
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert tags["ferry.retraining"] == JOB
    assert tags["ferry.champion"] == "1"
    assert tags["ferry.challenge"] in ("better", "worse", "no different")
    artifacts = _mlflow(stack, "artifacts/list", run_id=version["run_id"], path="evidence")
    assert "evidence/card.md" in {each["path"] for each in artifacts["files"]}

    report = stack.document(f"reports/retraining/{MODEL}/{JOB}.json")
    assert (report["kind"], report["version"], report["champion"]["alias"]) == ("drift", 2, STACK)
    assert "sub_grade" in report["figures"]["drifted"]
    assert f"reports/retraining/{MODEL}/{JOB}.md" in stack.keys("reports/retraining/")


def test_no_pin_was_moved_and_one_retraining_was_enough(stack: Watched) -> None:
    assert stack.pin()["version"] == 1
    assert list(stack.jobs()) == [JOB]
    stack.restart_watch()
    series = "watch_last_success_timestamp_seconds"
    begun = time.time()
    stack.until("a look of the new watch", 60, lambda: stack.figures().get(series, 0) > begun)
    assert list(stack.jobs()) == [JOB]


def test_every_panel_of_the_screens_has_an_answer(stack: Watched) -> None:
    silent = panels.silent(stack.output("prometheus")["url"], MODEL)
    print(f"panels without an answer: {sorted(silent)}")
    assert set(silent) <= UNSEEN


def _mlflow(stack: Watched, path: str, /, **asked: str) -> Any:  # noqa: ANN401 - any JSON
    return outputs.mlflow(stack.output, path, params=asked)


def _judged(told: dict[str, float]) -> dict[str, float] | None:
    return told if "drift_detected" in told else None


def _counted(told: dict[str, float]) -> dict[str, float] | None:
    return told if told.get("outcomes_matured") == 2000 else None


def _drifted(told: dict[str, float]) -> dict[str, float] | None:
    return told if told.get("drift_detected") == 1 else None
