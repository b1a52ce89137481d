"""Predictions and outcomes as sorted arrays, and which of them belong together."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

PREDICTION: Any = np.dtype(
    [("key", np.uint64), ("time", np.float64), ("score", np.float32), ("version", np.int32)]
)
OUTCOME: Any = np.dtype([("key", np.uint64), ("arrived", np.int64), ("outcome", np.int8)])
UNKNOWN = -1

MOST = 1_000_000
"""Predictions, and outcomes, that are kept at most: some 40 MB, and as much again while sorting."""

Rows = npt.NDArray[np.void]


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Scores of the predictions past maturity, (n,), and 0, 1 or UNKNOWN for each."""

    scores: npt.NDArray[np.float32]
    outcomes: npt.NDArray[np.int8]


def rows(kind: np.dtype[np.void], places: Iterable[tuple[str, int]], **columns: Any) -> Rows:  # noqa: ANN401
    """Rows of PREDICTION or OUTCOME; `columns` has the fields beside the key, each (rows,) or one.

    `places` has each row's request id and its place in the request.
    """
    known = keys(places)
    made: Any = np.empty(len(known), kind)
    made["key"] = known
    for name, values in columns.items():
        made[name] = values
    return made


def none(kind: np.dtype[np.void]) -> Rows:
    """No rows."""
    return rows(kind, ())


def keys(places: Iterable[tuple[str, int]]) -> npt.NDArray[np.uint64]:
    """A number for each request id and row, (n,); any two of a million alike: 3 chances in 10^8."""
    return np.fromiter((_key(name, row) for name, row in places), np.uint64)


def merged(*parts: Rows) -> Rows:
    """All rows sorted by key; of several with one key the first by the fields that follow it.

    So the parts' order, and whether a part comes twice, makes no difference.
    """
    rows = np.concatenate(parts)
    # In turn the least significant field first; each sort keeps what the one before it did.
    rows = rows[np.lexsort([rows[name] for name in reversed(rows.dtype.names or ())])]
    first = np.ones(len(rows), bool)
    first[1:] = rows["key"][1:] != rows["key"][:-1]
    return rows[first]


def added(rows: Rows, *parts: Rows) -> Rows:
    """As `merged` of rows that are merged already and of a few more, without sorting all again."""
    more = merged(*parts)
    places = find(rows, more["key"])
    known = places >= 0
    if known.any():
        rows = rows.copy()
        rows[places[known]] = merged(rows[places[known]], more[known])  # in the same order
    new = more[~known]
    return np.insert(rows, np.searchsorted(rows["key"], new["key"]), new)


def newest(rows: Rows, field: str, since: float) -> Rows:
    """The rows whose `field` is after `since`, and the newest MOST of them."""
    kept = rows[rows[field] > since]
    if len(kept) > MOST:
        order = np.argsort(kept[field], kind="stable")[-MOST:]
        kept = kept[np.sort(order)]
    return kept


def find(rows: Rows, wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The place of each wanted key among sorted rows, -1 where it is not, (n,)."""
    if not len(rows):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(rows["key"], wanted), len(rows) - 1)
    return np.where(rows["key"][places] == wanted, places, -1)


def join(predictions: Rows, outcomes: Rows, *, since: float, until: float) -> dict[int, Joined]:
    """By version the predictions made after `since` and up to `until`, with their outcomes."""
    ripe = predictions[(predictions["time"] > since) & (predictions["time"] <= until)]
    places = find(outcomes, ripe["key"])
    known = np.full(len(ripe), UNKNOWN, np.int8)
    known[places >= 0] = outcomes["outcome"][places[places >= 0]]
    found = {}
    for version in np.unique(ripe["version"]).tolist():
        its = ripe["version"] == version
        found[version] = Joined(scores=ripe["score"][its], outcomes=known[its])
    return found


def _key(name: str, row: int) -> int:
    return int.from_bytes(blake2b(f"{name}/{row}".encode(), digest_size=8).digest())
