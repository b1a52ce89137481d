"""A tick: read, join, measure, judge, answer; a step that fails stops no other."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from obstore.store import ObjectStore

from app.definition import Definition
from app.reference import SCORE, Reference
from app.serving import logs
from app.watch import accuracy, drift, objects, page, release, report
from app.watch.accuracy import Measures
from app.watch.answer import Answer
from app.watch.drift import Drift
from app.watch.memory import DAY, Memory
from app.watch.release import Release
from app.watch.windows import Columns, Windows


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What was found of one window; `ended` in Unix seconds."""

    ended: float
    drift: Drift
    table: Columns = field(compare=False, repr=False)
    """Its rows, with the score."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What a tick found."""

    time: float
    measures: Mapping[int, Measures]
    """By version, those that have predictions past maturity."""
    window: Judged | None
    """The last that was judged."""
    judged: Sequence[Judged]
    """Those that were judged in this tick and ended after the watch began."""
    answer: Answer
    broken: Mapping[str, int]
    """Objects set aside, by step."""
    failed: Sequence[str]
    """Steps that failed."""


def report_key(model: str, version: int, ended: float, seconds: float) -> str:
    """Where a window's report stands, without `.json` or `.html`: by the hour in which it began.

    Windows of no whole hours stand by the minute.
    """
    form = objects.HOURS if seconds % 3600 == 0 else f"{objects.HOURS}%M"
    begun = datetime.fromtimestamp(ended - seconds, UTC).strftime(form)
    return f"reports/drift/{model}/{version}/{begun}"


Respond = Callable[[Sequence[Judged], float], Answer]
"""From the newest windows in the order of time, and the time now."""


class Watch:
    """One version's watch, with what it remembers.

    Rows are held against the reference of that version; accuracy is told of every version that
    served in the time of the window, for outcomes come when a newer one has long replaced it.
    """

    def __init__(
        self,
        bucket: ObjectStore,
        model: Definition,
        version: int,
        window_seconds: float,
        respond: Respond,
    ) -> None:
        self.model = model
        self.version = version
        self.begun = time.time()
        days = model.watch.maturity_days + model.watch.window_days
        self.memory = Memory(bucket, model.name, version, days)
        self.stopped = False
        self.progressed = time.monotonic()
        """When a step last ended or objects were last read."""
        self._bucket = bucket
        self._window_seconds = window_seconds
        self._respond = respond
        self._releases: dict[int, Release] = {}
        self._windows: Windows[Judged] | None = None
        self._reference: Reference | None = None
        self._failed: list[str] = []

    def tick(self, now: float) -> Tick:
        """Look once. Raises nothing: what failed is named in the answer, and logged."""
        self._failed = []
        windows = self._step("reference", self._prepared)
        broken: dict[str, int | None] = {}
        if windows is not None:
            broken["requests"] = self._step(
                "requests", lambda: self.memory.look_for_requests(now, windows, self._stopping)
            )
        broken["outcomes"] = self._step(
            "outcomes", lambda: self.memory.look_for_outcomes(now, self._stopping)
        )
        measures = self._step("outcomes", lambda: self._measures(now))
        judged, answer, last = [], None, None
        if windows is not None and "requests" not in self._failed:
            judged = self._step("drift", lambda: windows.judge(now, self._judge)) or []
            last = windows.past[-1] if windows.past else None
            answer = self._step("retraining", lambda: self._respond(windows.past, now))
            for each in self._new(judged):
                self._step("report", lambda each=each: self._report(each, windows.past))
        return Tick(
            time=now,
            measures=measures or {},
            window=last,
            judged=self._new(judged),
            answer=answer or Answer(),
            broken={step: number for step, number in broken.items() if number},
            failed=tuple(dict.fromkeys(self._failed)),
        )

    def _step(self, name: str, step: Callable[[], Any]) -> Any:  # noqa: ANN401
        """What the step gives; None when it failed, or nobody waits for it any more."""
        if self.stopped:
            return None
        try:
            return step()
        except Exception as error:  # whatever it is, the other steps have their turn
            self._failed.append(name)
            where = traceback.format_tb(error.__traceback__)[-1].strip()
            logs.write("step failed", step=name, error=repr(error)[:300], where=where[:300])
            return None
        finally:
            self.progressed = time.monotonic()

    def _stopping(self) -> bool:
        """Asked between two reads."""
        self.progressed = time.monotonic()
        return self.stopped

    def _prepared(self) -> Windows[Judged]:
        """The windows, once the release and its reference are known."""
        if self._windows is None:
            schema = self._release(self.version).schema
            content = release.reference(self._bucket, self.model.name, self.version)
            self._reference = Reference.from_json(content, schema)
            remembered = self.model.watch.drifted_windows[1]
            self._windows = Windows(schema.names, self._window_seconds, remembered)
        return self._windows

    def _measures(self, now: float) -> dict[int, Measures]:
        until = now - self.model.watch.maturity_days * DAY
        since = until - self.model.watch.window_days * DAY
        found = {}
        for version, rows in self.memory.joined(since=since, until=until).items():
            try:
                threshold = self._release(version).threshold
            except FileNotFoundError:
                if version == self.version:
                    raise
                continue  # another, which never got as far as a release
            found[version] = accuracy.measure(rows, threshold, self.model.costs)
        return found

    def _judge(self, ended: float, columns: Columns, scores: list[float]) -> Judged:
        assert self._reference is not None  # noqa: S101 - read before there is a window
        table = {**columns, SCORE: scores}
        return Judged(ended=ended, drift=drift.measure(self._reference, table), table=table)

    def _new(self, judged: Sequence[Judged]) -> list[Judged]:
        """Those that ended after the watch began: others were told of by the one before it."""
        return [each for each in judged if each.ended > self.begun]

    def _report(self, judged: Judged, past: Sequence[Judged]) -> None:
        """The figures of a window; of one that drifted also a page, beside the last steady one."""
        name = self.model.name
        key = report_key(name, self.version, judged.ended, self._window_seconds)
        content = report.summary(name, self.version, judged.drift)
        objects.put(self._bucket, f"{key}.json", content, "application/json")
        steady = [e for e in past if e.ended < judged.ended and e.drift.verdict == "steady"]
        if judged.drift.detected and steady:
            schema = self._release(self.version).schema
            drawn = page.draw(schema, steady[-1].table, judged.table, judged.drift)
            objects.put(self._bucket, f"{key}.html", drawn, "text/html; charset=utf-8")

    def _release(self, version: int) -> Release:
        if version not in self._releases:
            self._releases[version] = release.release(self._bucket, self.model.name, version)
        return self._releases[version]
