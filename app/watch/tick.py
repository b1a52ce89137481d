"""A tick: read, join, measure, judge, answer; a step that fails stops no other."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from obstore.store import ObjectStore

from app.definition import Definition
from app.serving import logs
from app.watch import accuracy, release
from app.watch.accuracy import Measures
from app.watch.memory import DAY, Memory
from app.watch.release import Release
from app.watch.windows import Scores, Windows


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What was found of one window."""

    ended: float
    """Unix seconds."""
    rows: int
    drifted: bool | None
    """Over all features together; None: too few rows to say."""
    features: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By feature its drift and the threshold of it."""
    score: tuple[float, float] | None = None
    """The same of the score."""

    @property
    def verdict(self) -> str:
        if self.drifted is None:
            return "short"
        return "drifted" if self.drifted else "steady"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came of the windows: why the model is to be trained again, and what was done."""

    reason: str | None = None
    """drift or schema."""
    started: str | None = None
    """The Job's name."""
    held: str | None = None
    """Why none was started."""


Judge = Callable[[bytes, float, pd.DataFrame, Scores], Judged]
"""From reference.json, a window's end, its rows and their scores."""
Answer = Callable[[Sequence[Judged], float], Answered]
"""From the windows in the order of time, and the time now."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What a tick found."""

    time: float
    measures: Mapping[int, Measures]
    """By version, those whose predictions are past maturity."""
    window: Judged | None
    """The last that was judged."""
    judged: Sequence[Judged]
    """Those that were judged in this tick and ended after the watch began."""
    answered: Answered
    broken: Mapping[str, int]
    """Objects set aside, by step."""
    failed: Sequence[str]
    """Steps that failed."""


class Watch:
    """One model's watch, with what it remembers."""

    def __init__(
        self,
        bucket: ObjectStore,
        model: Definition,
        version: int,
        window_seconds: float,
        judge: Judge,
        answer: Answer,
    ) -> None:
        self.model = model
        self.version = version
        self.begun = time.time()
        days = model.watch.maturity_days + model.watch.window_days
        self.memory = Memory(bucket, model.name, version, days)
        self.stopped = False
        self.progressed = time.monotonic()
        """When a step last ended or an object was last read."""
        self._bucket = bucket
        self._window_seconds = window_seconds
        self._judge = judge
        self._answer = answer
        self._releases: dict[int, Release] = {}
        self._windows: Windows[Judged] | None = None
        self._reference: bytes | None = None
        self._failed: list[str] = []

    def tick(self, now: float) -> Tick:
        """Look once. Raises nothing: what failed is named in the answer, and logged."""
        self._failed = []
        windows = self._step("reference", self._prepared)
        broken = {}
        if windows is not None:
            broken["requests"] = self._step(
                "requests", lambda: self.memory.look_for_requests(now, windows, self._stopped)
            )
        broken["outcomes"] = self._step(
            "outcomes", lambda: self.memory.look_for_outcomes(now, self._stopped)
        )
        measures = self._step("outcomes", lambda: self._measures(now))
        judged: list[Judged] = []
        answered = None
        if windows is not None and "requests" not in self._failed:
            judged = self._step("drift", lambda: self._judged(windows, now)) or []
            past = windows.past
            answered = self._step("retraining", lambda: self._answer(past, now))
        return Tick(
            time=now,
            measures=measures or {},
            window=windows.past[-1] if windows is not None and windows.past else None,
            judged=[each for each in judged if each.ended > self.begun],
            answered=answered or Answered(),
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

    def _stopped(self) -> bool:
        self.progressed = time.monotonic()
        return self.stopped

    def _prepared(self) -> Windows[Judged]:
        """The windows, once the release is known."""
        if self._windows is None:
            names = self._release(self.version).names
            remembered = self.model.watch.drifted_windows[1]
            self._windows = Windows(names, self._window_seconds, remembered)
        return self._windows

    def _measures(self, now: float) -> dict[int, Measures]:
        until = now - self.model.watch.maturity_days * DAY
        since = until - self.model.watch.window_days * DAY
        joined = self.memory.joined(since=since, until=until)
        return {
            version: accuracy.measure(rows, self._release(version).threshold, self.model.costs)
            for version, rows in joined.items()
        }

    def _judged(self, windows: Windows[Judged], now: float) -> list[Judged]:
        if self._reference is None:
            self._reference = release.reference(self._bucket, self.model.name, self.version)
        content = self._reference
        return windows.judge(
            now, lambda ended, table, scores: self._judge(content, ended, table, scores)
        )

    def _release(self, version: int) -> Release:
        if version not in self._releases:
            self._releases[version] = release.release(self._bucket, self.model.name, version)
        return self._releases[version]
