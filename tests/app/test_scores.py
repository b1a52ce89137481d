"""The score histogram counts each scored row once, alone or in a batch, as the library would."""

from typing import Any

import numpy as np
import pytest
from conftest import sample
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.serving import inference
from app.serving.metrics import Metrics
from app.serving.service import Rejected, Service

LABELS = {"model": "loans", "version": "1"}
probabilities = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40)


def _lines(text: bytes) -> list[str]:
    return [line for line in text.decode().splitlines() if line.startswith("prediction_score")]


@given(st.lists(probabilities, max_size=5))
def test_it_reads_as_one_of_the_library_does(requests: list[list[float]]) -> None:
    ours, registry = Metrics(**LABELS), CollectorRegistry()
    buckets = [step / 20 for step in range(1, 21)]
    theirs = Histogram(
        "prediction_score", "", tuple(LABELS), buckets=buckets, registry=registry
    ).labels(**LABELS)
    for scores in requests:
        ours.scores.add(np.asarray(scores, np.float32))
        for score in scores:
            theirs.observe(score)
    written, wanted = _lines(ours.render()), _lines(generate_latest(registry))
    assert [line for line in written if "_sum" not in line] == [
        line for line in wanted if "_sum" not in line
    ]
    sums = [float(line.split()[-1]) for line in written + wanted if "_sum" in line]
    assert sums[0] == pytest.approx(sums[1], rel=1e-6)


def test_each_scored_row_counts_and_a_refused_one_does_not(
    service: Service, loan: dict[str, Any]
) -> None:
    inference.score_rows(service, [loan], "a")
    inference.score_rows(service, [loan] * 3, "b")
    with pytest.raises(Rejected):
        inference.score_rows(service, [loan, {**loan, "term": "never"}], "c")
    assert sample(service, "prediction_score_count") == 4
