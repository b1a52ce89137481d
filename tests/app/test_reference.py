"""Reference statistics are what the rows say, come back as they were, and are of one schema."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from conftest import MODEL, SCHEMA
from hypothesis import given
from hypothesis import strategies as st

from app.console import Refused
from app.reference import Numbers, Reference, Words, tally
from app.schema import Category, Number, Schema

TARGET = {"target": "y", "positive": "yes", "negative": "no"}
NUMBER = Number(name="x", low=-1e300, high=1e300)
SHADES = Category(name="shade", values=("light", "mid", "dark", "black"), ordered=True)
TOWNS = Category(name="town", values=tuple("abcdefghijklm"), ordered=False)


def of_numbers(values: object) -> Numbers:
    schema = Schema(features=(NUMBER,), **TARGET)
    found = Reference.of(schema, pd.DataFrame({"x": values}), [0.5]).features["x"]
    assert isinstance(found, Numbers)
    return found


def of_words(feature: Category, values: list[str | None]) -> Words:
    schema = Schema(features=(feature,), **TARGET)
    table = pd.DataFrame({feature.name: pd.Series(values, dtype=object)})
    found = Reference.of(schema, table, [0.5]).features[feature.name]
    assert isinstance(found, Words)
    return found


@pytest.fixture(scope="module")
def reference(loans: pd.DataFrame) -> Reference:
    return Reference.of(SCHEMA, loans, np.linspace(0, 1, len(loans)))


def test_it_comes_back_as_it_was_and_small(reference: Reference) -> None:
    document = reference.to_json()
    assert Reference.from_json(document, SCHEMA) == reference
    assert Reference.from_json(document, SCHEMA).to_json() == document
    assert len(document) <= 30_000


def test_the_order_of_the_rows_does_not_matter(loans: pd.DataFrame, reference: Reference) -> None:
    scores = np.linspace(0, 1, len(loans))
    order = np.random.default_rng(1).permutation(len(loans))
    again = Reference.of(SCHEMA, loans.iloc[order], scores[order])
    assert again.to_json() == reference.to_json()


def test_a_foreign_schema_is_refused(reference: Reference) -> None:
    other = replace(SCHEMA, features=SCHEMA.features[1:])
    with pytest.raises(Refused, match="is of schema"):
        Reference.from_json(reference.to_json(), other)


def bins(edges: list[int], counts: list[int], missing: int) -> dict[str, object]:
    return {"type": "numbers", "edges": edges, "counts": counts, "missing": missing}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2"),
        ({"schema": None}, "no reference of format 1"),
        ({"more": 1}, "no reference of format 1"),
        ({"features": {}}, "is of schema"),
        ({"score": bins([2, 1], [1, 1, 1], 0)}, "rise"),
        ({"score": bins([1, 1], [1, 1, 1], 0)}, "rise"),
        ({"score": bins([1], [1], 0)}, "one count more"),
        ({"score": bins([1], [1, -1], 0)}, "less than"),
        ({"score": bins([], [1], -1)}, "less than"),
        ({"score": {"type": "words", "groups": [], "counts": [], "missing": 0}}, "no reference"),
    ],
)
def test_what_training_did_not_write_is_refused(
    reference: Reference, changes: dict[str, object], message: str
) -> None:
    document = json.dumps({**json.loads(reference.to_json()), **changes}).encode()
    with pytest.raises(Refused, match=message):
        Reference.from_json(document, SCHEMA)


@pytest.mark.parametrize("document", [b"", b"{}", b"[1]", b"\xff", b'{"format": 1'])
def test_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(Refused, match=r"reference\.json is no reference"):
        Reference.from_json(document, SCHEMA)


@pytest.mark.parametrize("groups", [[["a"], ["a"]], [["a"]]])
def test_a_word_in_two_groups_or_a_group_without_a_count_is_refused(
    groups: list[list[str]],
) -> None:
    with pytest.raises(ValueError, match="in one group"):
        Words(groups=tuple(map(tuple, groups)), counts=(1, 2), missing=0, ordered=False)


def test_the_score_keeps_its_name(loans: pd.DataFrame) -> None:
    schema = Schema(features=(replace(NUMBER, name="score"),), **TARGET)
    with pytest.raises(Refused, match="'score'"):
        Reference.of(schema, loans.assign(score=1.0), [0.5])


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(-3, 3),
            st.floats(-1e300, 1e300),
            st.sampled_from([np.nan, np.inf, -1e-300]),
        ),
        min_size=1,
        max_size=300,
    )
)
def test_numbers_are_counted_and_no_row_is_lost(values: list[float | None]) -> None:
    found = of_numbers(pd.Series(values, dtype=object))
    numbers = np.array([np.nan if value is None else value for value in values], float)
    known = numbers[np.isfinite(numbers)]
    assert found.missing == len(values) - len(known)
    assert sum(found.counts) == len(known)
    bounds = [-np.inf, *found.edges, np.inf]
    by_hand = [int(((known > low) & (known <= high)).sum()) for low, high in pairwise(bounds)]
    assert list(found.counts) == by_hand
    assert tally(found, found.bins(values)).tolist() == [*found.counts, found.missing]
    assert len(found.counts) <= 12
    # All but rare tails hold a twentieth, unless there is one value only.
    assert len(set(known)) == 1 or all(count >= len(known) / 20 for count in found.counts[1:-1])
    assert Numbers(edges=found.edges, counts=found.counts, missing=found.missing) == found


def test_different_numbers_give_tenths() -> None:
    assert of_numbers(np.arange(1000.0)).counts == (100,) * 10


@pytest.mark.parametrize(
    ("rows", "edges", "counts"),
    [
        ({0: 930, 1: 60, 2: 9, 7: 1}, (0,), (930, 70)),
        ({0: 970, 1: 30}, (0,), (970, 30)),
        ({0: 30, 1: 970}, (0,), (30, 970)),
        ({0: 10, 1: 20, 2: 950, 3: 20}, (1, 2), (30, 950, 20)),
        ({0: 95, 1: 405, 2: 500}, (0, 1), (95, 405, 500)),
        ({0: 40, 1: 30, 2: 20, 3: 20, 4: 890}, (3,), (110, 890)),
        ({0: 500, 1: 20, 2: 480}, (0,), (500, 500)),
        ({0: 500, 1: 100, 2: 400}, (0, 1), (500, 100, 400)),
    ],
)
def test_ties_share_a_bin_and_rare_tails_stand_alone(
    rows: dict[int, int], edges: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    found = of_numbers([value for value, count in rows.items() for _ in range(count)])
    assert (found.edges, found.counts) == (edges, counts)


def test_beside_a_constant_there_is_room_on_both_sides() -> None:
    found = of_numbers([3] * 50)
    assert found.counts == (0, 50, 0)
    assert tally(found, found.bins([2.999, 3, 3, 3.001, None, "x"])).tolist() == [1, 2, 1, 2]


def test_words_with_an_order_are_joined_with_their_neighbours() -> None:
    found = of_words(SHADES, ["light"] * 57 + ["mid"] * 3 + ["dark"] * 39 + ["black"] + [None])
    assert found.ordered
    assert found.groups == (("light",), ("mid", "dark"), ("black",))
    assert found.counts == (57, 42, 1)
    assert found.missing == 1


def test_frequent_words_stand_alone_and_rare_ones_together() -> None:
    counts = {"a": 3, "b": 40, "c": 5, "d": 4, "e": 48, "f": 0}
    found = of_words(TOWNS, [word for word, count in counts.items() for _ in range(count)])
    assert not found.ordered
    assert found.groups[:3] == (("e",), ("b",), ("c",))
    assert set(found.groups[3]) == set("adfghijklm")
    assert found.counts == (48, 40, 5, 7)


def test_of_many_frequent_words_nine_stand_alone() -> None:
    found = of_words(TOWNS, [word for word in "abcdefghijklm" for _ in range(10)])
    assert [len(group) for group in found.groups] == [1] * 9 + [4]


@given(
    st.lists(st.sampled_from([*TOWNS.values, None, "elsewhere", 1]), max_size=200), st.booleans()
)
def test_words_are_counted_and_no_row_is_lost(values: list[object], ordered: bool) -> None:
    feature = replace(TOWNS, ordered=ordered)
    found = of_words(feature, values)  # ty: ignore[invalid-argument-type]
    known = [value for value in values if value in TOWNS.values]
    assert sorted(word for group in found.groups for word in group) == sorted(TOWNS.values)
    assert list(found.counts) == [sum(v in group for v in known) for group in found.groups]
    assert found.missing == len(values) - len(known)
    assert tally(found, found.bins(values)).tolist() == [*found.counts, found.missing]
    assert len(found.counts) <= 10
    if ordered:
        assert [word for group in found.groups for word in group] == list(TOWNS.values)


def test_every_feature_of_the_model_has_its_rows(loans: pd.DataFrame, reference: Reference) -> None:
    assert list(reference.features) == list(MODEL.schema.names)
    for spread in reference.spreads.values():
        assert sum(spread.counts) + spread.missing == len(loans)
