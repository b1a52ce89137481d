"""A tick measures, judges and answers; what fails is counted, and stops nothing else."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import obstore
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore
from watch_harness import DAY, NAME, NOW, evidence, label, line, log, put

from app.reference import Reference
from app.watch import drift, tick
from app.watch.answer import Answer
from app.watch.damping import Rule
from app.watch.metrics import Metrics
from app.watch.objects import Documents
from app.watch.response import by
from app.watch.retraining import Reason
from app.watch.tick import Judged, Watch
from app.watch.windows import GRACE_SECONDS

SECONDS = 3600.0
START = NOW - NOW % SECONDS
MATURE = START - (MODEL.watch.maturity_days + 1) * DAY


def features(loan: dict[str, Any], number: int = 0) -> dict[str, Any]:
    return {**loan, "funded_amnt": 1000 + number}


@pytest.fixture(scope="module", autouse=True)
def drawing() -> Iterator[Callable[..., bytes]]:
    """What draws a page, in seconds for each: here nothing does, but for who asks for it."""
    real = tick.page.draw
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tick.page, "draw", lambda *_: b"<html>")
        yield real


@pytest.fixture
def bucket(loans: pd.DataFrame) -> MemoryStore:
    found = MemoryStore()
    evidence(found, 7, SCHEMA.document(), threshold=0.5)
    scores = np.linspace(0, 1, len(loans))
    reference = Reference.of(SCHEMA, loans, scores).to_json()
    put(found, f"evidence/{NAME}/7/reference.json", reference)
    return found


def served(bucket: MemoryStore, loans: pd.DataFrame, time: float, shift: float = 0) -> None:
    """A window like the reference, or one with another interest rate."""
    table = loans[list(SCHEMA.names)].assign(int_rate=loans["int_rate"] + shift)
    lines = [
        line(f"r{place}-{time}", time, place / len(loans), **row)
        for place, row in enumerate(table.to_dict("records"))
    ]
    log(bucket, f"served-{time}", lines)


def answered(bucket: MemoryStore, loan: dict[str, Any]) -> None:
    """Three predictions of long ago, two outcomes: one called rightly, one not; one is missing."""
    scored = [line(f"old{n}", MATURE, score, **loan) for n, score in enumerate([0.9, 0.2, 0.6])]
    log(bucket, "old", scored)
    label(bucket, START - DAY, {"old0": 1, "old1": 1})


def respond(judged: Sequence[Judged], now: float) -> Answer:
    return Answer()


def made(bucket: MemoryStore, respond: Any = respond) -> Watch:  # noqa: ANN401
    watch = Watch(bucket, MODEL, 7, SECONDS, respond)
    watch.begun = START - 1
    return watch


class Told:
    """What Prometheus would read of the metrics after some ticks."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.metrics = Metrics(NAME, watch.version)

    def tick(self, now: float = START + GRACE_SECONDS) -> "Told":
        self.found = self.watch.tick(now)
        self.metrics.told(self.found)
        return self

    def __call__(self, name: str, version: int = 7, **labels: str) -> float | None:
        own = {"model": NAME, "version": str(version), **labels}
        return self.metrics.registry.get_sample_value(name, own)


def test_everything_is_told_by_the_contracts_names(
    bucket: MemoryStore, loans: pd.DataFrame, loan: dict[str, Any]
) -> None:
    served(bucket, loans, START - 600)
    answered(bucket, loan)
    told = Told(made(bucket)).tick()
    assert told.found.failed == ()
    assert told("prediction_accuracy", basis="outcomes") == 0.5
    assert told("prediction_accuracy_bound", bound="lower") == pytest.approx(0.0945, abs=1e-4)
    assert told("prediction_accuracy_bound", bound="upper") == pytest.approx(0.9055, abs=1e-4)
    assert MODEL.costs is not None
    assert told("prediction_cost") == MODEL.costs.false_negative / 2
    assert told("outcomes_matured") == 2
    assert told("outcomes_missing_ratio") == pytest.approx(1 / 3)
    assert told("prediction_calibration_error") is None, "two outcomes tell nothing of it"
    assert told("drift_window_rows") == len(loans)
    assert told("drift_detected") == 0
    assert told("feature_drift", feature="int_rate") == pytest.approx(0, abs=1e-9)
    assert (told("feature_drift_threshold", feature="int_rate") or 0) > 0
    assert told("prediction_drift") == pytest.approx(0, abs=1e-4)
    assert (told("prediction_drift_threshold") or 0) > 0
    assert told("drift_windows_total", verdict="steady") == 1
    assert told("watch_last_success_timestamp_seconds") == START + GRACE_SECONDS
    assert told("watch_errors_total", step="requests") == 0, "each series is there from the start"


def test_a_window_unlike_the_reference_has_drifted(
    bucket: MemoryStore, loans: pd.DataFrame
) -> None:
    served(bucket, loans, START - 600, shift=5)
    told = Told(made(bucket)).tick()
    assert told("drift_detected") == 1
    assert told("drift_windows_total", verdict="drifted") == 1
    drift = told("feature_drift", feature="int_rate")
    assert drift is not None
    assert drift > (told("feature_drift_threshold", feature="int_rate") or 1)


def test_where_there_is_nothing_there_is_no_gauge(bucket: MemoryStore) -> None:
    told = Told(made(bucket)).tick()
    assert told("prediction_accuracy", basis="outcomes") is None
    assert told("outcomes_missing_ratio") is None
    assert told("drift_detected") is None
    assert told("feature_drift", feature="int_rate") is None
    assert told("drift_window_rows") == 0
    assert told("drift_windows_total", verdict="short") == 1


def test_what_is_gone_is_told_no_longer(
    bucket: MemoryStore, loans: pd.DataFrame, loan: dict[str, Any]
) -> None:
    served(bucket, loans, START - 600)
    answered(bucket, loan)
    told = Told(made(bucket)).tick()
    told.tick(START + GRACE_SECONDS + MODEL.watch.window_days * DAY)
    assert told("prediction_accuracy", basis="outcomes") is None
    assert told("outcomes_matured") is None
    assert told("drift_detected") is None
    assert told("feature_drift", feature="int_rate") is None


def test_a_version_that_no_longer_serves_is_still_measured(
    bucket: MemoryStore, loan: dict[str, Any]
) -> None:
    evidence(bucket, 6, SCHEMA.document(), threshold=0.95)
    log(bucket, "old", [line("old", MATURE, 0.9, version=6, **loan)])
    label(bucket, START - DAY, {"old": 1})
    told = Told(made(bucket)).tick()
    assert told("prediction_accuracy", version=6, basis="outcomes") == 0, "by its own threshold"
    assert told("prediction_accuracy", basis="outcomes") is None


def test_a_window_leaves_a_report(bucket: MemoryStore, loans: pd.DataFrame) -> None:
    served(bucket, loans, START - 600, shift=5)
    Told(made(bucket)).tick()
    hour = datetime.fromtimestamp(START - SECONDS, UTC).strftime("%Y-%m-%dT%H")
    content = Documents(bucket).get(f"reports/drift/{NAME}/7/{hour}.json")
    assert content is not None
    report = json.loads(content)
    assert (report["rows"], report["verdict"]) == (len(loans), "drifted")
    assert report["drifted"] == ["int_rate"]
    assert report["columns"].keys() == {*SCHEMA.names, "score"}
    assert report["columns"]["int_rate"]["psi"] > report["columns"]["int_rate"]["threshold"]


def test_a_drifted_window_leaves_a_page_beside_the_last_steady_one(
    bucket: MemoryStore, loans: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, Any]] = []

    def draw(schema: Any, before: Any, window: Any, drift: Any) -> bytes:  # noqa: ANN401
        drawn.append((max(before["int_rate"]), max(window["int_rate"])))
        return b"<html>"

    monkeypatch.setattr(tick.page, "draw", draw)
    told = Told(made(bucket))
    for hours, shift in enumerate([9, 0, 5]):
        served(bucket, loans, START + hours * SECONDS - 600, shift=shift)
        told.tick(START + hours * SECONDS + GRACE_SECONDS)
    highest = loans["int_rate"].max()
    assert drawn == [(highest, highest + 5)], "the first had no steady window before it"
    hour = datetime.fromtimestamp(START + SECONDS, UTC).strftime("%Y-%m-%dT%H")
    assert Documents(bucket).get(f"reports/drift/{NAME}/7/{hour}.html") == b"<html>"


@pytest.mark.slow
def test_the_page_is_drawn_by_another_process(
    loans: pd.DataFrame, drawing: Callable[..., bytes]
) -> None:
    scores = np.linspace(0, 1, len(loans))
    reference = Reference.of(SCHEMA, loans, scores)
    before = {**loans[list(SCHEMA.names)].to_dict("list"), "score": scores.tolist()}
    window = {**before, "int_rate": [rate + 5 for rate in before["int_rate"]]}
    found = drawing(SCHEMA, before, window, drift.measure(reference, window))
    assert found.lstrip().startswith(b"<!DOCTYPE html>")
    assert b"int_rate" in found


def test_reports_of_short_windows_do_not_replace_each_other() -> None:
    keys = {tick.report_key(NAME, 7, START + 60 * minutes, 60) for minutes in range(60)}
    assert len(keys) == 60


def test_a_version_that_was_never_released_takes_nothing_from_the_others(
    bucket: MemoryStore, loan: dict[str, Any]
) -> None:
    log(bucket, "other", [line("other", MATURE, 0.9, version=5, **loan)])
    answered(bucket, loan)
    told = Told(made(bucket)).tick()
    assert told.found.failed == ()
    assert told("prediction_accuracy", basis="outcomes") == 0.5
    assert told("outcomes_missing_ratio", version=5) is None


def test_windows_before_the_start_are_remembered_and_not_counted(
    bucket: MemoryStore, loans: pd.DataFrame
) -> None:
    served(bucket, loans, START - 600, shift=5)
    watch = made(bucket)
    watch.begun = START + 1
    told = Told(watch).tick()
    assert told("drift_detected") == 1
    assert told("drift_windows_total", verdict="drifted") == 0


def test_a_release_without_reference_is_an_error_and_outcomes_are_still_read(
    bucket: MemoryStore,
) -> None:
    obstore.delete(bucket, f"evidence/{NAME}/7/reference.json")
    label(bucket, START, {"r1": 1})
    told = Told(made(bucket)).tick()
    assert told.found.failed == ("reference",)
    assert told("watch_errors_total", step="reference") == 1
    assert told("watch_last_success_timestamp_seconds") is None
    assert told.watch.memory.ready


def fails(*_: object, **__: object) -> Any:  # noqa: ANN401
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("broken", "step"),
    [
        ("app.watch.memory.Memory.look_for_requests", "requests"),
        ("app.watch.memory.Memory.look_for_outcomes", "outcomes"),
        ("app.watch.accuracy.measure", "outcomes"),
        ("app.watch.drift.measure", "drift"),
        ("app.watch.report.summary", "report"),
        ("test_watch_tick.respond", "retraining"),
    ],
)
def test_a_step_that_fails_is_counted_and_stops_no_other(
    bucket: MemoryStore,
    loans: pd.DataFrame,
    loan: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    step: str,
) -> None:
    served(bucket, loans, START - 600)
    answered(bucket, loan)
    with monkeypatch.context() as patched:
        patched.setattr(broken, fails)
        told = Told(made(bucket, fails if step == "retraining" else respond)).tick()
    assert told.found.failed == (step,)
    assert told("watch_errors_total", step=step) == 1
    if step != "retraining":
        told.tick(START + GRACE_SECONDS + 60)
        assert told("watch_errors_total", step=step) == 1
        assert told("watch_last_success_timestamp_seconds") == START + GRACE_SECONDS + 60
        assert told("prediction_accuracy", basis="outcomes") == 0.5
        assert told("drift_detected") == 0


def test_a_broken_object_is_counted_and_the_tick_succeeds(bucket: MemoryStore) -> None:
    place = log(bucket, "a", [line("r1", START - 60)]).rpartition("/")[0]
    put(bucket, f"{place}/b.jsonl.gz", b"")
    told = Told(made(bucket)).tick().tick(START + GRACE_SECONDS + 60)
    assert told("watch_errors_total", step="requests") == 2, "the first has another feature"
    assert told.found.failed == ()


def test_nothing_is_begun_once_it_is_stopped(bucket: MemoryStore) -> None:
    watch = made(bucket, fails)
    watch.stopped = True
    assert watch.tick(START).failed == ()
    assert not watch.memory.ready


def test_enough_drifted_windows_start_one_job_and_the_next_is_held_back(
    bucket: MemoryStore, loans: pd.DataFrame
) -> None:
    started: list[tuple[str, Reason]] = []

    def start(job: str, reason: Reason) -> None:
        started.append((job, reason))

    rule = Rule(drifted=2, of=3, cooldown=24 * SECONDS)
    told = Told(made(bucket, by(bucket, MODEL, rule, start)))
    for hours in range(5):
        served(bucket, loans, START + hours * SECONDS - 600, shift=5)
        told.tick(START + hours * SECONDS + GRACE_SECONDS)
        assert len(started) == (hours >= 1)
    ((job, reason),) = started
    assert job == f"{NAME}-retrain-1"
    assert reason.kind == "drift"
    assert reason.figures["drifted"] == ["int_rate"]
    assert told("retrainings_total", reason="drift") == 1
    assert told("retrainings_damped_total") == 1, "held back in two ticks, wanted once"


def test_a_signal_of_another_schema_starts_a_job(bucket: MemoryStore) -> None:
    started: list[str] = []
    signal = f"signals/retrain/{MODEL.dataset.name}/2030-01-01.json"
    Documents(bucket).put_json(signal, {"reason": "schema change", "changes": ["column x is new"]})
    rule = Rule(cooldown=0)
    told = Told(made(bucket, by(bucket, MODEL, rule, lambda job, reason: started.append(job))))
    told.tick().tick(START + GRACE_SECONDS + 60)
    assert started == [f"{NAME}-retrain-1"]
    assert told("retrainings_total", reason="schema") == 1


@settings(max_examples=10)
@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_verdicts_after_a_restart_are_those_of_before(drifted: list[bool]) -> None:
    loans = MODEL.dataset.load(sample=True).head(150)
    bucket = MemoryStore()
    evidence(bucket, 7, SCHEMA.document())
    reference = Reference.of(SCHEMA, loans, np.linspace(0, 1, len(loans))).to_json()
    put(bucket, f"evidence/{NAME}/7/reference.json", reference)
    seen: list[list[Any]] = [[], []]
    watch = made(bucket, lambda judged, now: seen[0].append(list(judged)))
    for hours, other in enumerate(drifted):
        served(bucket, loans, START + hours * SECONDS - 600, shift=9 * other)
        watch.tick(START + hours * SECONDS + GRACE_SECONDS)
    end = START + (len(drifted) - 1) * SECONDS + GRACE_SECONDS
    made(bucket, lambda judged, now: seen[1].append(list(judged))).tick(end)
    assert seen[1][-1] == seen[0][-1]
    assert [each.drift.detected for each in seen[1][-1]][-len(drifted) :] == drifted[-5:]
