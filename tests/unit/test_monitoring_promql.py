"""Expressions are read by the contract: a wrong name, label, value, kind or unit is told."""

import re

import pytest

from monitoring import promql
from monitoring.contract import PROBES, Series, catalogue, reasons, unit

RIGHT = [
    'sum by (model) (rate(inference_error_total{reason=~"range|type"}[5m]))',
    'prediction_accuracy{basis="outcomes"} * ignoring (basis) outcomes_matured',
    "histogram_quantile(0.9, sum by (le, model) (rate(prediction_latency_seconds_bucket[5m]))) > 1",
    'rate(prediction_latency_seconds_bucket{le="0.1"}[5m]) > 2',
    "time() - watch_last_success_timestamp_seconds > 900",
    "feature_drift > feature_drift_threshold",
    "process_cpu_seconds_total or vector(0)",
    "sum without (pod) (up) == 1",
    "(up == 0) unless on (pod) prediction_accuracy",
    "last_over_time(inference_error_total[1h])",
    'sum by (asked) (label_replace(up, "asked", "$1", "job", "(.*)"))',
    '{__name__=~"prediction_score_bucket|inference_error_total",model="loans"}[15s]',
    "prediction_latency_seconds_sum / prediction_latency_seconds_count > 0.1",
    "rollout_info * on (namespace, pod) group_left (version) prediction_accuracy",
    "max(kube_pod_container_resource_requests) > max(node_memory_MemTotal_bytes)",
]
WRONG = [
    ("sum(", "no PromQL"),
    ("prediction_hopes", "no metric prediction_hopes"),
    ("inference_error", "no metric inference_error"),
    ('{model="loans"}', "names no metric"),
    ('{__name__=~"prediction_score_bucket|hopes"}', "no metric hopes"),
    ('up{model="loans"}', "up has no label model"),
    ('prediction_accuracy{basis="hope"}', "basis is never hope"),
    ('inference_error_total{reason=~"range|odd"}', "reason is never odd"),
    ('inference_error_total{reason=~"range|odd.*"}', "reason is never odd"),
    ('inference_error_total{reason!="odd"}', "reason is never odd"),
    ('prediction_latency_seconds_bucket{le="0.2"}', "le is never 0.2"),
    ("sum by (modle) (up)", "no label modle"),
    ("sum without (modle) (up)", "no label modle"),
    ("sum by (pod) (sum by (model) (prediction_accuracy))", "no label pod"),
    ("rate(prediction_accuracy[5m])", "rate is for counters"),
    ("increase(up[5m])", "increase is for counters"),
    ("delta(inference_error_total[5m])", "delta is for gauges"),
    ("max_over_time(inference_error_total[5m])", "max_over_time is for gauges"),
    ("prediction_accuracy * outcomes_matured", "only one has basis"),
    ("prediction_accuracy * ignoring (pod) outcomes_matured", "only one has basis"),
    ("up * on (model) outcomes_matured", "no label model"),
    ("up * ignoring (odd) up", "no label odd"),
    ("up unless prediction_accuracy", "only one has basis"),
    ("prediction_latency_seconds_sum > prediction_latency_seconds_count", "seconds"),
    ("process_start_time_seconds > process_resident_memory_bytes", "bytes"),
    ("rate(process_cpu_seconds_total[5m]) - process_cpu_seconds_total", "ratio - seconds"),
    ("feature_drift or prediction_accuracy", "psi^1 or ratio"),
    ("histogram_quantile(0.9, sum by (model) (prediction_score_bucket))", "buckets by le"),
    ("histogram_quantile(0.9, up)", "buckets by le"),
    (
        "histogram_quantile(0.9, prediction_score_bucket) > prediction_latency_seconds_sum",
        "ratio > seconds",
    ),
]


@pytest.mark.parametrize("expression", RIGHT)
def test_what_is_right_passes(expression: str) -> None:
    assert promql.complaints(expression, catalogue()) == []


@pytest.mark.parametrize(("expression", "complaint"), WRONG)
def test_what_is_wrong_is_told(expression: str, complaint: str) -> None:
    assert complaint in " ".join(promql.complaints(expression, catalogue()))
    with pytest.raises(ValueError, match=re.escape(complaint)):
        promql.series(expression, catalogue())


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("time() - process_start_time_seconds", unit("seconds")),
        ("rate(process_cpu_seconds_total[5m])", unit("ratio")),
        ("sum(rate(inference_error_total[5m])) * sum(process_cpu_seconds_total)", unit("requests")),
        ("up > bool 3", unit("ratio")),
        ("count(feature_drift)", None),
        ("2 * feature_drift", unit("psi")),
        ("1 - prediction_accuracy", unit("ratio")),
        ("histogram_quantile(0.5, prediction_latency_seconds_bucket)", unit("seconds")),
    ],
)
def test_a_unit_is_what_arithmetic_makes_of_it(expression: str, wanted: object) -> None:
    assert promql.series(expression, catalogue()).unit == wanted


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("sum by (model) (prediction_accuracy)", {"model"}),
        ("count(up)", set()),
        ("topk by (model) (3, sum by (model, version) (outcomes_matured))", {"model", "version"}),
        ("sum by (le) (prediction_score_bucket)", {"le"}),
        ("histogram_quantile(0.5, sum by (le) (prediction_score_bucket))", set()),
        ("sum by (model) (up * on (pod) group_right () outcomes_matured)", {"model"}),
        ("outcomes_matured * on (model) prediction_cost", {"model"}),
        ("sum by (model) (prediction_cost) or sum by (job) (prediction_cost)", {"model", "job"}),
    ],
)
def test_labels_are_those_that_are_left(expression: str, labels: set[str]) -> None:
    assert promql.series(expression, catalogue()).labels == labels


def test_series_have_their_names_on_the_wire() -> None:
    names = catalogue().keys()
    assert {"inference_error_total", "prediction_score_bucket", "prediction_score_count"} <= names
    assert not {"inference_error", "prediction_score"} & names
    assert catalogue()["prediction_score_count"].unit == unit("rows")
    assert catalogue()["prediction_latency_seconds_bucket"].bound == unit("seconds")
    assert catalogue()["prediction_accuracy"].values["basis"] == {"held_out", "outcomes"}


def test_the_reasons_of_an_error_are_each_somebodys_fault() -> None:
    groups = [reasons(group) for group in ("rows", "client", "server")]
    told = catalogue()["inference_error_total"].values["reason"]
    assert sorted(told) == sorted(reason for group in groups for reason in group)


def test_a_recorded_series_is_known_by_what_it_is_made_of() -> None:
    made = promql.series("sum by (model) (rate(inference_error_total[5m]))", catalogue())
    known = {**catalogue(), "model:errors:rate5m": made}
    assert promql.complaints('model:errors:rate5m{model="loans"} > 1', known) == []
    assert promql.complaints("sum by (reason) (model:errors:rate5m)", known)
    assert promql.complaints("model:errors:rate5m > process_cpu_seconds_total", known)
    assert isinstance(made, Series)


def test_probes_are_named_once() -> None:
    assert len(PROBES) == len(set(PROBES))
