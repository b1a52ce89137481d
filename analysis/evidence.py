"""What a verdict is made from: counts of two releases over one window, and paired answers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Counts:
    """One release's requests over the window.

    Histograms are cumulative, as Prometheus keeps them: upper bound to the count at or below it,
    the last bound infinite. Latency is in seconds, a score is a probability.
    """

    requests: float = 0
    """Those with a prediction, with an error of the server, or refused for their rows."""
    server_errors: float = 0
    schema_errors: float = 0
    latency: Mapping[float, float] = field(default_factory=dict)
    scores: Mapping[float, float] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether these can be counts at all: finite, not negative, no part above its whole."""
        numbers = (self.requests, self.server_errors, self.schema_errors)
        every = (*numbers, *self.latency.values(), *self.scores.values())
        return (
            all(math.isfinite(number) and number >= 0 for number in every)
            and self.server_errors + self.schema_errors <= self.requests
            and _rising(self.latency)
            and _rising(self.scores)
        )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Requests that both releases were asked; the four lists hold those that both answered.

    Of a request with many rows one row stands in the lists: its rows are no sample of their own.
    """

    asked: int = 0
    stable_failed: int = 0
    canary_failed: int = 0
    stable: tuple[float, ...] = ()
    canary: tuple[float, ...] = ()
    stable_seconds: tuple[float, ...] = ()
    canary_seconds: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known at one look; a release without fresh data is None."""

    stable: Counts | None
    canary: Counts | None
    pairs: Pairs
    missing: str = ""
    """Why a release is None."""


def _rising(histogram: Mapping[float, float]) -> bool:
    counts = [histogram[bound] for bound in sorted(histogram)]
    return counts == sorted(counts)
