"""Reference: how the rows that a version was trained on are spread, feature by feature."""

import math
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from app.console import Refused
from app.schema import Category, Feature, Schema

FILE = "reference.json"
"""Its name among a version's evidence."""

SCORE = "score"
"""Column of the model's scores beside those of its features."""

FORMAT = 1

_MOST_BINS = 10
_SHARES = np.arange(1, _MOST_BINS) / _MOST_BINS
_LEAST_SHARE = 1 / 20
"""Of the rows in a bin; rarer ones are merged, for a chi-square is no law of small numbers."""

Bins = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="numbers"):
    """Rows by intervals: up to each edge, which belongs to it, and above the last."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must rise, and leave one count more than there are edges")
        _check_counts((*self.counts, self.missing))

    @property
    def ordered(self) -> bool:
        return True

    def bins(self, values: object) -> Bins:
        """The bin of each value; that behind the last is of what is missing or no number."""
        numbers = _numbers(values)
        found = np.searchsorted(self.edges, numbers)
        return np.where(np.isfinite(numbers), found, len(self.counts))


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="words"):
    """Rows by groups of words; the groups of `ordered` words follow one another."""

    groups: tuple[tuple[str, ...], ...]
    counts: tuple[int, ...]
    missing: int
    ordered: bool

    def __post_init__(self) -> None:
        words = [word for group in self.groups for word in group]
        if len(self.counts) != len(self.groups) or len(words) != len(set(words)):
            raise ValueError("each word must be in one group, and each group have one count")
        _check_counts((*self.counts, self.missing))

    def bins(self, values: object) -> Bins:
        """The group of each value; that behind the last is of what is missing or another word."""
        words = [word for group in self.groups for word in group]
        places = [place for place, group in enumerate(self.groups) for _ in group]
        return np.array([*places, len(self.groups)])[_codes(values, words)]  # code -1 is the last


def tally(spread: Numbers | Words, bins: Bins) -> Counts:
    """Rows in each of the bins, the missing last."""
    return np.bincount(bins, minlength=len(spread.counts) + 1)


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What windows of served rows are held against; `schema` is the hash of the model's.

    The score is of the held-out rows alone: what a model learnt from it may score otherwise.
    """

    format: int
    schema: str
    features: dict[str, Numbers | Words]
    score: Numbers

    @classmethod
    def of(cls, schema: Schema, table: pd.DataFrame, scores: npt.ArrayLike) -> Self:
        """From a table with the schema's features, and scores (rows of any number,).

        Raises `Refused` for a feature that is called as the scores are.
        """
        if SCORE in schema.names:
            raise Refused(f"no feature may be called {SCORE!r}, as the score itself is")
        return cls(
            format=FORMAT,
            schema=schema.hash(),
            features={
                feature.name: _spread(feature, table[feature.name]) for feature in schema.features
            },
            score=_spread_of_numbers(_numbers(scores)),
        )

    @classmethod
    def from_json(cls, document: bytes, schema: Schema) -> Self:
        """What `to_json` gave; raises `Refused` for anything else, or of another schema."""
        try:
            found = msgspec.json.decode(document, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(f"{FILE} is no reference of format {FORMAT}: {error}") from error
        if found.format != FORMAT:
            raise Refused(f"{FILE} has format {found.format}, this code reads {FORMAT}")
        if found.schema != schema.hash() or list(found.features) != list(schema.names):
            raise Refused(
                f"{FILE} is of schema {found.schema}, the model's is {schema.hash()}; "
                "take the file of the same version"
            )
        return found

    def to_json(self) -> bytes:
        """The same for the same rows, on one line."""
        return msgspec.json.encode(self) + b"\n"

    @cached_property
    def spreads(self) -> Mapping[str, Numbers | Words]:
        """By column: every feature, then the score."""
        return {**self.features, SCORE: self.score}


def _spread(feature: Feature, values: pd.Series) -> Numbers | Words:
    if not isinstance(feature, Category):
        return _spread_of_numbers(_numbers(values))
    codes = _codes(values, feature.values)
    known = codes[codes >= 0]
    counts = np.bincount(known, minlength=len(feature.values))
    if feature.ordered:
        ends = [int(edge) + 1 for edge in _edges(known)]
    else:
        # The frequent ones first, each by itself; the others are one group.
        order = sorted(range(len(counts)), key=lambda code: (-counts[code], code))
        frequent = sum(counts[code] >= _LEAST_SHARE * len(known) for code in order)
        ends = list(range(1, min(frequent, _MOST_BINS - 1) + 1))
        feature = Category(
            name=feature.name, values=tuple(feature.values[code] for code in order), ordered=False
        )
        counts = counts[order]
    bounds = sorted({0, *ends, len(counts)})
    spans = list(pairwise(bounds))
    return Words(
        groups=tuple(feature.values[start:end] for start, end in spans),
        counts=tuple(int(counts[start:end].sum()) for start, end in spans),
        missing=len(codes) - len(known),
        ordered=feature.ordered,
    )


def _spread_of_numbers(numbers: Values) -> Numbers:
    known = numbers[np.isfinite(numbers)]
    edges = _edges(known)
    counts = np.bincount(np.searchsorted(edges, known), minlength=len(edges) + 1)
    return Numbers(
        edges=tuple(edges), counts=tuple(counts.tolist()), missing=len(numbers) - len(known)
    )


def _edges(known: npt.NDArray[Any]) -> list[float]:
    """Deciles of the values, but those that would leave less than the least share of rows.

    Beyond the first and the last edge there may be less: a rare tail is what one wants to see grow.
    """
    if not len(known):
        return []
    lowest, highest = float(known.min()), float(known.max())
    if lowest == highest:  # so that any other value falls beside it
        return [math.nextafter(lowest, -math.inf), highest]
    ordered = np.sort(known)
    least = _LEAST_SHARE * len(known)
    edges: list[float] = []
    below = 0
    for decile in np.unique(np.quantile(ordered, _SHARES, method="inverted_cdf")):
        before, upto = (int(np.searchsorted(ordered, decile, side)) for side in ("left", "right"))
        if before and not below and upto - before >= least:  # a frequent value and rarer ones below
            edges.append(float(ordered[before - 1]))
            below = before
        if decile < highest and upto - below >= least:
            edges.append(float(decile))
            below = upto
    return edges


def _numbers(values: object) -> Values:
    """As float64, what is no number as NaN."""
    given = np.asarray(values)
    if given.dtype.kind not in "fiu":
        given = pd.to_numeric(pd.Series(given), errors="coerce").to_numpy()
    return given.astype(np.float64, copy=False)


def _codes(values: object, words: tuple[str, ...] | list[str]) -> npt.NDArray[np.int64]:
    """Each value's place among the words, -1 for what is none of them."""
    return pd.Categorical(np.asarray(values, object), categories=list(words)).codes.astype(np.int64)


def _check_counts(counts: tuple[int, ...]) -> None:
    if min(counts) < 0:
        raise ValueError("no bin can hold less than no rows")
