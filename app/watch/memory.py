"""What the watch remembers of the bucket: predictions, outcomes, and the rows of newest windows."""

import threading
from collections.abc import Callable

import numpy as np
from obstore.store import ObjectStore

from app.serving import logs
from app.watch import join, lines, objects, outcomes, requests
from app.watch.join import Joined, Rows
from app.watch.outcomes import Outcome
from app.watch.windows import Windows

DAY = 24 * 3600.0
_AHEAD_SECONDS = 2 * DAY
"""An outcome without a prediction is kept for so long: some predictions are late, most were never
sampled."""
_COUNTED_SECONDS = 3600
"""How often it is asked which versions there are, beside those that are known to serve."""
_MERGED = 200_000
"""Rows that wait to be merged at most, so that reading all of the bucket takes bounded memory."""


class Memory:
    """Rebuilt from the bucket after a start, and the same as if there had been none.

    Holds the predictions and outcomes of `days` days, at most `join.MOST` of each.
    """

    def __init__(self, bucket: ObjectStore, model: str, version: int, days: float) -> None:
        self.model = model
        self.version = version
        self._bucket = bucket
        self._seconds = days * DAY
        self._logs: dict[int, objects.Feed] = {}
        self._counted = 0.0
        self._labels = objects.Feed(bucket, f"labels/{model}", objects.DAYS)
        self._predictions = join.none(join.PREDICTION)
        self._outcomes = join.none(join.OUTCOME)
        self._changing = threading.Lock()
        self.ready = False
        """Set once all outcomes of the bucket have been read: before, none can be judged new."""

    def look_for_requests(self, now: float, windows: Windows, stopped: Callable[[], bool]) -> int:
        """Read what is new in the request log; gives how many objects were broken and set aside.

        The rows of the watched version go into `windows` too.
        """
        self._predictions = join.newest(self._predictions, "time", now - self._seconds)
        served = set(np.unique(self._predictions["version"]).tolist())
        if now - self._counted >= _COUNTED_SECONDS:
            served |= self._versions()
        broken = 0
        for version in sorted(served | {self.version}):
            broken += self._look_at(version, now, windows, stopped)
        if now - self._counted >= _COUNTED_SECONDS:
            self._counted = now
        return broken

    def _look_at(
        self, version: int, now: float, windows: Windows, stopped: Callable[[], bool]
    ) -> int:
        prefix = f"requests/{self.model}/{version}"
        feed = self._logs.setdefault(version, objects.Feed(self._bucket, prefix, objects.HOURS))
        watched = version == self.version
        broken, parts, waiting = 0, [self._predictions], 0
        since = now - self._seconds
        try:
            for key, content in feed.new(now, since, stopped):
                try:
                    scored = requests.read(
                        content, self.model, str(version), windows.names if watched else ()
                    )
                except lines.Broken as error:
                    broken += _aside(key, error)
                    continue
                rows = requests.predictions(scored)
                if watched:
                    windows.add(scored, rows["key"], now)
                parts.append(rows)
                waiting += len(rows)
                if waiting > _MERGED:
                    self._predictions = join.newest(join.added(*parts), "time", since)
                    parts, waiting = [self._predictions], 0
        finally:
            if len(parts) > 1:
                self._predictions = join.newest(join.added(*parts), "time", since)
        return broken

    def _versions(self) -> set[int]:
        """Every version that has a request log."""
        names = objects.folders(self._bucket, f"requests/{self.model}")
        return {int(name) for name in names if name.isdecimal()}

    def look_for_outcomes(self, now: float, stopped: Callable[[], bool]) -> int:
        """As `look_for_requests`; after it, as their outcomes are kept for predictions that are."""
        broken, waiting = 0, 0
        parts: list[Rows] = []
        try:
            for key, content in self._labels.new(now, now - self._seconds, stopped):
                try:
                    rows = outcomes.read(key, content)
                except lines.Broken as error:
                    broken += _aside(key, error)
                    continue
                parts.append(rows)
                waiting += len(rows)
                if waiting > _MERGED:
                    self._remember(now, *parts)
                    parts, waiting = [], 0
            self.ready = not stopped()
        finally:
            self._remember(now, *parts)
        return broken

    def take(self, found: list[Outcome], now: float) -> int:
        """Write the outcomes that are not known yet to the bucket; gives how many those were.

        Raises `outcomes.Contradiction` before anything is written, and `objects.BaseError`.
        """
        with self._changing:
            new = outcomes.unknown(found, self._outcomes)
            if new:
                rows = outcomes.write(self._bucket, self.model, new, now)
                self._outcomes = join.added(self._outcomes, rows)
        return len(new)

    def joined(self, *, since: float, until: float) -> dict[int, Joined]:
        """By version the predictions after `since` and up to `until`, with their outcomes."""
        return join.join(self._predictions, self._outcomes, since=since, until=until)

    @property
    def size(self) -> tuple[int, int]:
        """How many predictions and outcomes are held."""
        return len(self._predictions), len(self._outcomes)

    def _remember(self, now: float, *parts: Rows) -> None:
        with self._changing:
            merged = join.added(self._outcomes, *parts) if parts else self._outcomes
            wanted = join.find(self._predictions, merged["key"]) >= 0
            young = merged["arrived"] > (now - _AHEAD_SECONDS) * 1000
            self._outcomes = join.newest(merged[wanted | young], "arrived", -1)


def _aside(key: str, error: lines.Broken) -> int:
    """Leave a broken object where it is, and say so; it is not read again."""
    logs.write("broken object", key=key[:300], error=str(error)[:200])
    return 1
