"""The metric contract: it is whole, the server keeps it, and a metric of another kind is seen."""

import re
import tomllib

import pytest
from contract_harness import disagreements
from prometheus_client import CollectorRegistry, generate_latest
from starlette.testclient import TestClient

from app.serving import contract, requestlog
from app.serving.service import Service

UNITS = {
    *("seconds", "bytes", "ratio", "timestamp", "psi", "flag", "money"),
    *("requests", "rows", "predictions", "windows", "jobs", "ticks"),
    *("files", "objects", "collections"),
}


@pytest.fixture
def page(service: Service, client: TestClient) -> str:
    """What Prometheus reads of a server that has everything switched on."""
    log = requestlog.RequestLog(service, lambda _key, _content: None, 1.0)
    text = client.get("/metrics").text
    log.close()
    return text


def test_the_server_tells_what_the_contract_says(page: str) -> None:
    assert disagreements(page, "server") == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("prediction_latency_seconds", "prediction_latency_ms", "is not in the contract"),
        ("TYPE prediction_accuracy gauge", "TYPE prediction_accuracy counter", "is a counter"),
        ('basis="held_out"', 'basis="hoped"', "has basis hoped"),
        ('basis="held_out",', "", "has the labels"),
        ('reason="range"', 'reason="odd"', "has reason odd"),
        ('le="0.025"', 'le="0.02"', "has the buckets"),
        ("Requests without a prediction", "Requests", "says"),
        ("request_log_dropped", "rows_dropped", "request_log_dropped is not told"),
    ],
)
def test_a_difference_is_seen(page: str, old: str, new: str, complaint: str) -> None:
    assert old in page
    assert complaint in " ".join(disagreements(page.replace(old, new), "server"))


def test_what_is_made_from_the_contract_keeps_it() -> None:
    registry = CollectorRegistry()
    makers = {
        "counter": contract.counter,
        "gauge": contract.gauge,
        "histogram": contract.histogram,
    }
    for name, metric in contract.of("watch").items():
        made = makers[metric.type](name, registry)
        values = {label: metric.values.get(label, ("any",))[0] for label in metric.labels}
        if values:
            made.labels(**values)
    assert disagreements(generate_latest(registry).decode(), "watch") == []


def test_a_metric_is_not_made_as_another_kind_nor_without_the_contract() -> None:
    for name in ("prediction_latency_seconds", "prediction_hopes"):
        with pytest.raises(KeyError, match=f"no gauge {name}"):
            contract.gauge(name, CollectorRegistry())


@pytest.mark.parametrize("metric", contract.metrics().values(), ids=lambda metric: metric.name)
def test_an_entry_is_whole(metric: contract.Metric) -> None:
    assert metric.type in {"counter", "gauge", "histogram"}
    assert metric.unit in UNITS
    assert metric.help
    assert set(metric.emitters) <= {"server", "watch"}
    assert metric.emitters
    assert metric.values.keys() <= set(metric.labels)
    assert bool(metric.buckets) == (metric.type == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not re.search("_(total|bucket|sum|count)$", metric.name)
    suffix = metric.name.rpartition("_")[2]
    if suffix in {"bytes", "ratio"}:
        assert metric.unit == suffix
    assert (suffix == "seconds") == (metric.unit in {"seconds", "timestamp"})


def test_ours_say_the_model_and_its_version() -> None:
    for name, metric in contract.metrics().items():
        if not name.startswith(("process_", "python_")):
            assert metric.labels[:2] == ("model", "version"), name


def test_every_label_is_explained() -> None:
    used = {label for metric in contract.metrics().values() for label in metric.labels}
    assert used == tomllib.loads(contract.FILE.read_text())["labels"].keys()
