"""Windows of traffic: the rows of each, judged once it is over."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from app.watch.requests import Scored

MOST_ROWS = 10_000
"""Rows of a window that are kept: those with the smallest keys, which are numbers by chance."""
GRACE_SECONDS = 180.0
"""From a window's end until it is judged: a server's rows are in the bucket by then."""

_Row = tuple[int, float, tuple[Any, ...]]
_Verdict = TypeVar("_Verdict")
Columns = dict[str, list[Any]]


class Windows(Generic[_Verdict]):
    """The rows of the windows that are not judged yet, and the last `remembered` that are.

    A window is judged once. After a start those that would be remembered are judged again.
    """

    def __init__(self, names: Sequence[str], seconds: float, remembered: int) -> None:
        self.names = tuple(names)
        self._seconds = seconds
        self._remembered = remembered
        self._rows: dict[int, list[_Row]] = {}
        self._judged = -1
        """The number of the last window that was judged, counted from 1970."""
        self.past: list[_Verdict] = []
        """In the order of time."""

    def add(self, scored: Sequence[Scored], keys: npt.NDArray[np.uint64], now: float) -> None:
        """Take rows and their keys, (rows,); those of windows that are judged are too late."""
        oldest = self._oldest(now)
        for line, key in zip(scored, keys.tolist(), strict=True):
            number = int(line.time // self._seconds)
            if number < oldest or line.time > now + GRACE_SECONDS:
                continue  # too late, or by a clock that is wrong
            kept = self._rows.setdefault(number, [])
            kept.append((key, line.score, tuple(line.features[name] for name in self.names)))
            if len(kept) > 2 * MOST_ROWS:
                self._rows[number] = _sample(kept)

    def judge(
        self, now: float, judge: Callable[[float, Columns, list[float]], _Verdict]
    ) -> list[_Verdict]:
        """What `judge` says of each window that is over: its end, its rows and their scores.

        When it raises, that window and those after it are judged the next time.
        """
        found = []
        for number in range(self._oldest(now), self._newest(now) + 1):
            rows = _sample(self._rows.get(number, []))
            columns: Columns = {
                name: [values[place] for _, _, values in rows]
                for place, name in enumerate(self.names)
            }
            scores = [score for _, score, _ in rows]
            found.append(judge((number + 1) * self._seconds, columns, scores))
            self.past = [*self.past, found[-1]][-self._remembered :]
            self._judged = number
            self._rows.pop(number, None)
        self._rows = {number: rows for number, rows in self._rows.items() if number > self._judged}
        return found

    def _newest(self, now: float) -> int:
        """The number of the newest window that is over."""
        return int((now - GRACE_SECONDS) // self._seconds) - 1

    def _oldest(self, now: float) -> int:
        """The number of the oldest window that is still to be judged."""
        return max(self._judged, self._newest(now) - self._remembered) + 1


def _sample(rows: list[_Row]) -> list[_Row]:
    """The rows to be kept, whatever order they came in."""
    return sorted(rows, key=lambda row: row[0])[:MOST_ROWS]
