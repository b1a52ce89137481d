"""Drift: whether a window's rows are spread as those of training were, and which features are not.

The measure is the population stability index (PSI), the sum of (p - q) ln(p / q) over the bins of
one feature. Where nothing drifts, PSI / (1/n + 1/m) of n and m rows follows chi-square with one
degree of freedom less than there are bins: see docs/drift.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtri

from app.reference import SCORE, Counts, Reference, tally

FALSE_ALARMS = 1 / 2000
"""Windows that may be called drifted although nothing has, all features together. Promised is one
in 1,000: the other half covers what chi-square is not exact in."""

FLOOR = 0.05
"""PSI below which nothing counts as drift, however many rows prove it."""

FEWEST_ROWS = 100
"""In a window, for a bin of a twentieth of the rows to hold five; with less it is called short."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far one column's window is from its reference."""

    psi: float
    threshold: float
    """PSI above which it has drifted."""
    ks: float | None
    """Largest difference between the two cumulative shares at the bins' edges (Kolmogorov and
    Smirnov's distance, from below); none where the bins have no order."""
    js: float
    """Jensen and Shannon's distance to base 2, from 0 (alike) to 1 (nothing in common)."""

    @property
    def drifted(self) -> bool:
        return self.psi > self.threshold


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One window held against the reference; a short one has no figures."""

    rows: int
    features: Mapping[str, Shift]
    score: Shift | None

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns that have, the score's own last."""
        every = {**self.features, **({SCORE: self.score} if self.score else {})}
        return tuple(name for name, shift in every.items() if shift.drifted)

    @property
    def detected(self) -> bool:
        return bool(self.drifted)

    @property
    def verdict(self) -> Literal["steady", "drifted", "short"]:
        if self.score is None:
            return "short"
        return "drifted" if self.detected else "steady"


def measure(reference: Reference, table: Mapping[str, Any] | pd.DataFrame) -> Drift:
    """Hold a window's columns against those of the reference.

    `table` has each feature as clients send it and `score`, all equally long.
    Raises KeyError for a column that it lacks, and ValueError for columns of different length.
    """
    spreads = reference.spreads
    columns = {name: table[name] for name in spreads}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"the columns of a window have different lengths: {sorted(lengths)}")
    rows = lengths.pop()
    if rows < FEWEST_ROWS:
        return Drift(rows=rows, features={}, score=None)
    shifts = compare(
        [np.array((*spread.counts, spread.missing)) for spread in spreads.values()],
        [tally(spread, spread.bins(columns[name])) for name, spread in spreads.items()],
        [spread.ordered for spread in spreads.values()],
    )
    by_name = dict(zip(spreads, shifts, strict=True))
    score = by_name.pop(SCORE)
    return Drift(rows=rows, features=by_name, score=score)


def compare(expected: list[Counts], found: list[Counts], ordered: list[bool]) -> list[Shift]:
    """Two counts of rows by bins, the missing last, for each of some columns."""
    bins = np.array([len(counts) for counts in found])
    q, reference_rows = _padded(expected)
    p, window_rows = _padded(found)
    js = _jensen_shannon(p, q)
    present = np.arange(p.shape[1]) < bins[:, None] - 1
    # Of the known rows alone: what is missing has no place in the order.
    ks = _largest_gap(_shares(p * present), _shares(q * present))
    psi = stability_index(p, q, window_rows, reference_rows, bins)
    thresholds = threshold(window_rows, reference_rows, bins, len(bins))
    return [
        Shift(psi=float(a), threshold=float(b), ks=float(c) if has_order else None, js=float(d))
        for a, b, c, d, has_order in zip(psi, thresholds, ks, js, ordered, strict=True)
    ]


def stability_index(
    p: Matrix, q: Matrix, window_rows: Matrix, reference_rows: Matrix, bins: Counts
) -> Matrix:
    """PSI of each row of shares (columns, bins); empty bins cost no infinity.

    Both sides are first mixed with the same share of evenly spread rows, one a bin of the smaller
    side: Laplace's rule. Mixing can only bring them together, and by ever less with more rows.
    """
    even = (np.arange(p.shape[1]) < bins[:, None]) / np.minimum(window_rows, reference_rows)[
        :, None
    ]
    weight = 1 + even.sum(1, keepdims=True)
    p, q = (p + even) / weight, (q + even) / weight
    with np.errstate(divide="ignore", invalid="ignore"):  # behind the last bin both are 0
        return np.nansum((p - q) * np.log(p / q), axis=1)


def threshold(window_rows: Any, reference_rows: Any, bins: Any, columns: int) -> Any:  # noqa: ANN401
    """PSI above which a column of so many bins has drifted; numbers or arrays of them.

    The false alarms are divided evenly among the columns (Bonferroni); Holm's order of tests would
    name more columns of a drifted window, and call no other window drifted.
    """
    noise = chdtri(bins - 1, FALSE_ALARMS / columns) * (1 / window_rows + 1 / reference_rows)
    return np.maximum(noise, FLOOR)


def _padded(counts: list[Counts]) -> tuple[Matrix, Matrix]:
    """Shares of rows (columns, bins), with zeros behind, and the rows (columns,)."""
    every = np.zeros((len(counts), max(map(len, counts))))
    for row, found in zip(every, counts, strict=True):
        row[: len(found)] = found
    return _shares(every), every.sum(1)


def _shares(counts: Matrix) -> Matrix:
    return counts / np.maximum(counts.sum(1, keepdims=True), np.finfo(float).tiny)


def _largest_gap(p: Matrix, q: Matrix) -> Matrix:
    return np.abs(np.cumsum(p - q, axis=1)).max(1)


def _jensen_shannon(p: Matrix, q: Matrix) -> Matrix:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        halves = [np.nansum(side * np.log2(side / middle), axis=1) for side in (p, q)]
    return np.sqrt(np.clip(sum(halves) / 2, 0, 1))
