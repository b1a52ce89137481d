"""Retraining: whether what the watch saw asks for it, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.watch.damping import Rule, Start, held


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window of traffic: when it ended (unix seconds), and whether it had drifted.

    `drifted` is None where too few rows came to say. `figures` goes into the report.
    """

    ended: float
    drifted: bool | None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Something else that asks for retraining; `name` is its own, whatever happens."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a model is trained again; `kind` is drift or schema, `text` is for people."""

    kind: str
    text: str
    signals: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "kind": self.kind,
            "text": self.text,
            "signals": list(self.signals),
            "figures": dict(self.figures),
        }


def wanted(
    windows: Sequence[Window], signals: Sequence[Signal], past: Sequence[Start], rule: Rule
) -> Reason | None:
    """What asks for retraining: a signal that no start answered, or drift since the last start.

    `windows` are in the order of time.
    """
    answered = {name for start in past for name in start.signals}
    open_ = [signal for signal in signals if signal.name not in answered]
    if open_:
        names = tuple(signal.name for signal in open_)
        return Reason(kind="schema", text="; ".join(s.text for s in open_), signals=names)
    since = max((start.at for start in past), default=float("-inf"))
    judged = [each for each in windows if each.drifted is not None and each.ended > since]
    drifted = [each for each in judged[-rule.of :] if each.drifted]
    if len(drifted) < rule.drifted:
        return None
    text = f"{len(drifted)} of the last {min(len(judged), rule.of)} windows drifted"
    return Reason(kind="drift", text=text, figures=drifted[-1].figures)


def decide(
    windows: Sequence[Window],
    signals: Sequence[Signal],
    past: Sequence[Start],
    now: float,
    rule: Rule,
) -> Reason | None:
    """Why the model should be trained again at `now`; None when nothing asks, or it is damped."""
    reason = wanted(windows, signals, past, rule)
    return None if reason is None or held(past, now, rule) else reason
