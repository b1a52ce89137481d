"""Damping: the retrainings that were started, kept in the bucket, and what holds back another."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

_WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When retraining is asked for, and how often at the most. Times in seconds."""

    drifted: int = 3
    """So many windows…"""
    of: int = 5
    """…of the last so many, those that were long enough."""
    cooldown: float = 24 * 3600.0
    """From one start to the next."""
    weekly: int = 3
    """Starts in any seven days."""
    longest: float = 4 * 3600.0
    """Of one retraining: without a report by then it has failed."""

    def __post_init__(self) -> None:
        if not (1 <= self.drifted <= self.of and self.cooldown >= 0 and self.weekly >= 1):
            raise ValueError(f"no rule for retraining: {self}")


@dataclass(frozen=True, kw_only=True)
class Start:
    """One retraining: its Job, when it began (unix seconds), why, and the signals it answers."""

    job: str
    at: float
    kind: str
    signals: tuple[str, ...] = ()
    ended: bool = True


def held(past: Sequence[Start], now: float, rule: Rule) -> str | None:
    """What holds a retraining back at `now`, in words; None when nothing does."""
    if not past:
        return None
    last = max(past, key=lambda start: start.at)
    if not last.ended and now - last.at < rule.longest:
        return f"{last.job} has not ended"
    if now - last.at < rule.cooldown:
        return f"{last.job} began less than {rule.cooldown:.0f} s ago"
    if sum(now - start.at < _WEEK for start in past) >= rule.weekly:
        return f"{rule.weekly} began in the last seven days"
    return None


class Store(Protocol):
    """What is needed of the bucket."""

    def put_json(self, key: str, document: dict[str, Any]) -> str: ...
    def get(self, key: str) -> bytes | None: ...
    def keys(self, prefix: str) -> list[str]: ...


@dataclass
class Starts:
    """A model's retrainings: those that the watch started, and the others that left a report.

    A start stands below `signals/retraining/<model>/`, where no restart of the watch forgets it; it
    has ended once its report stands below `reports/retraining/<model>/`.
    """

    bucket: Store
    model: str
    _started: dict[str, Start] = field(default_factory=dict)
    _reported: dict[str, Start] = field(default_factory=dict)

    def past(self) -> list[Start]:
        """All of them, oldest first. Raises what the store raises."""
        for name in self._new(f"signals/retraining/{self.model}/", self._started):
            self._started[name] = self._read(f"signals/retraining/{self.model}/{name}.json", name)
        for name in self._new(f"reports/retraining/{self.model}/", self._reported):
            self._reported[name] = self._read(f"reports/retraining/{self.model}/{name}.json", name)
        found = [
            Start(job=s.job, at=s.at, kind=s.kind, signals=s.signals, ended=s.job in self._reported)
            for s in self._started.values()
        ]
        found += [each for job, each in self._reported.items() if job not in self._started]
        return sorted(found, key=lambda start: (start.at, start.job))

    def next_job(self) -> str:
        """The name of the next Job: the same until that start is kept, so it is made once."""
        return f"{self.model}-retrain-{len(self._started) + 1}"

    def keep(self, start: Start) -> None:
        """Remember a start for good."""
        document = {"at": start.at, "kind": start.kind, "signals": list(start.signals)}
        self.bucket.put_json(f"signals/retraining/{self.model}/{start.job}.json", document)
        self._started[start.job] = start

    def _new(self, place: str, known: dict[str, Start]) -> list[str]:
        names = (
            key.removeprefix(place).removesuffix(".json")
            for key in self.bucket.keys(place)
            if key.endswith(".json")
        )
        return [name for name in names if name not in known]

    def _read(self, key: str, job: str) -> Start:
        document = json.loads(self.bucket.get(key) or b"{}")
        return Start(
            job=job,
            at=float(document.get("at", 0.0)),
            kind=str(document.get("kind", "unknown")),
            signals=tuple(document.get("signals", ())),
        )
