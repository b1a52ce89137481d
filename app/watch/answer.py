"""Answer: what the watch saw becomes a retraining Job, once, or is held back."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.watch.damping import Rule, Start, Starts, Store, held
from app.watch.retraining import Reason, Signal, Window, wanted


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one look: the reason, and the Job that it got or what held it back."""

    reason: Reason | None = None
    job: str | None = None
    held: str | None = None


def answer(
    starts: Starts,
    windows: Sequence[Window],
    signals: Sequence[Signal],
    now: float,
    rule: Rule,
    start: Callable[[str, Reason], object],
) -> Answer:
    """Start a retraining when the rule says so; `start` makes the Job of a name, and may raise.

    When it raises, nothing is kept, and the next look tries the same Job again. When the Job was
    made and could not be kept, the next look finds it made.
    """
    past = starts.past()
    reason = wanted(windows, signals, past, rule)
    if reason is None:
        return Answer()
    if why := held(past, now, rule):
        return Answer(reason=reason, held=why)
    job = starts.next_job()
    start(job, reason)
    starts.keep(Start(job=job, at=now, kind=reason.kind, signals=reason.signals, ended=False))
    return Answer(reason=reason, job=job)


def signals(bucket: Store, dataset: str) -> list[Signal]:
    """What asks for a retraining of the dataset's models, oldest day first."""
    found = []
    for key in bucket.keys(f"signals/retrain/{dataset}/"):
        document = json.loads(bucket.get(key) or b"{}")
        changes = document.get("changes", [])
        text = f"{document.get('reason', 'asked')} of {document.get('day', key)}"
        # A day that comes again with other bytes asks again.
        content = document.get("snapshot", {}).get("sha256", "")[:12]
        found.append(Signal(name=f"{key}@{content}", text=": ".join([text, ", ".join(changes)])))
    return found
