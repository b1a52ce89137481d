"""Pairs: a failure of one side, another number of answers, and what is no probability, count."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.mirror import Answer, Kind, Mirror, scores_of


def _mirror() -> Mirror:
    return Mirror(None, "http://stable", "http://canary")  # ty: ignore[invalid-argument-type]


def _answer(kind: Kind, *scores: float) -> Answer:
    return Answer(kind=kind, seconds=0.01, scores=scores)


@pytest.mark.parametrize(
    ("stable", "canary", "asked", "stable_failed", "canary_failed", "compared"),
    [
        (_answer("answered", 0.1), _answer("answered", 0.2), 1, 0, 0, 1),
        (_answer("answered", 0.1), _answer("failed"), 1, 0, 1, 0),
        (_answer("answered", 0.1), _answer("refused"), 1, 0, 1, 0),
        (_answer("failed"), _answer("answered", 0.1), 1, 1, 0, 0),
        (_answer("refused"), _answer("answered", 0.1), 1, 1, 0, 0),
        (_answer("failed"), _answer("failed"), 1, 1, 1, 0),
        (_answer("refused"), _answer("refused"), 0, 0, 0, 0),
        (_answer("answered", 0.1, 0.2), _answer("answered", 0.1), 1, 0, 1, 0),
    ],
)
def test_what_a_pair_counts_as(
    stable: Answer,
    canary: Answer,
    asked: int,
    stable_failed: int,
    canary_failed: int,
    compared: int,
) -> None:
    mirror = _mirror()
    mirror.add(stable, canary)
    pairs = mirror.pairs
    assert (pairs.asked, pairs.stable_failed, pairs.canary_failed) == (
        asked,
        stable_failed,
        canary_failed,
    )
    assert len(pairs.stable) == len(pairs.canary) == len(pairs.stable_seconds) == compared


def test_of_many_rows_one_and_the_same_is_compared() -> None:
    mirror = _mirror()
    rows = tuple(place / 100 for place in range(100))
    for _ in range(50):
        mirror.add(_answer("answered", *rows), _answer("answered", *rows))
    assert mirror.pairs.stable == mirror.pairs.canary
    assert len(set(mirror.pairs.stable)) > 10


@pytest.mark.parametrize(
    ("document", "scores"),
    [
        ({"model": "m", "version": "1", "probability": 0.25}, (0.25,)),
        ({"probabilities": [0, 1.0]}, (0.0, 1.0)),
        ({"predictions": [0.5]}, (0.5,)),
        ({"outputs": [{"name": "probability", "shape": [2], "data": [0.1, 0.2]}]}, (0.1, 0.2)),
    ],
)
def test_each_form_of_answer_is_read(document: object, scores: tuple[float, ...]) -> None:
    assert scores_of(json.dumps(document).encode()) == scores


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html></html>", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000,
        b'{"probability": NaN}', b'{"probability": Infinity}', b'{"probability": 1.5}',
        b'{"probability": -0.1}', b'{"probability": true}', b'{"probability": "0.5"}',
        b'{"probabilities": []}', b'{"probabilities": [0.5, null]}', b'{"outputs": []}',
        b'{"outputs": [{"name": "probability"}]}', b'{"probability": null}',
    ],
)  # fmt: skip
def test_what_is_no_probability_is_no_answer(body: bytes) -> None:
    assert scores_of(body) == ()


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["probability", "probabilities", "predictions", "outputs", "data"]), inner
    ),
).map(lambda document: json.dumps(document).encode()))  # fmt: skip
def test_any_body_gives_probabilities_or_nothing(body: bytes) -> None:
    assert all(0 <= score <= 1 for score in scores_of(body))
