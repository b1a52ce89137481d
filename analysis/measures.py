"""The measures of a canary: each a number, its interval at any level, and the bound it may reach.

Intervals are one-sided at each end. A release's share has the exact (Clopper-Pearson) limits; the
difference of two has them joined as Zou and Donner do (MOVER); a distance of two distributions has
Kolmogorov's. SciPy knows the first and the last.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtri, kolmogi

from analysis.evidence import Counts, Evidence, Pairs

EXCESS = 1.25
"""A canary's share may be this times the stable's, and the bound above it: one as sick passes."""
ERRORS = 0.02
"""The least that 300 requests without an error can exclude at the levels of `looks`."""
SLOW = 0.05
"""Above the stable's 99th percentile: 1.4 times the latency reaches it, twice has 0.1 and more."""
FLOOR_SECONDS = 0.0025
"""A request as quick as this is never called slow."""
SHIFT = 0.25
"""Largest gap of the score distributions. Models of disjoint halves of the loans have 0.03, of
different families 0.1, a constant 0.6 and more."""
FAR = 0.25
"""Probabilities that differ by more are far apart; the share of them has the bound `APART`."""
APART = 0.05
FLIPS = 0.10
"""Share of answers on the other side of the stable's median, and not just across it. Models of
disjoint halves of the loans have 0.03, a shuffled or constant answer 0.5."""
_NEAR_IN_QUARTILES = 0.25
_NEAR = 0.005


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of the canary's requests less `EXCESS` times that of the stable's, if it has any."""

    hits: float
    size: float
    stable_hits: float = 0
    stable_size: float | None = None
    """None where the measure compares the two already."""
    bound: float

    @property
    def canary(self) -> float:
        return self.hits / self.size

    @property
    def stable(self) -> float | None:
        return self.stable_hits / self.stable_size if self.stable_size else None

    @property
    def value(self) -> float:
        return self.canary - EXCESS * (self.stable or 0)

    def low(self, alpha: float) -> float:
        """Above which the difference is, but for a chance of `alpha`."""
        down = self.canary - _least(self.hits, self.size, alpha)
        up = 0.0
        if self.stable_size:
            up = _most(self.stable_hits, self.stable_size, alpha) - (self.stable or 0)
        return self.value - math.hypot(down, EXCESS * up)

    def high(self, alpha: float) -> float:
        """Below which the difference is, but for a chance of `alpha`."""
        up = _most(self.hits, self.size, alpha) - self.canary
        down = 0.0
        if self.stable_size:
            down = (self.stable or 0) - _least(self.stable_hits, self.stable_size, alpha)
        return self.value + math.hypot(up, EXCESS * down)


@dataclass(frozen=True, kw_only=True)
class Distance:
    """The largest gap between two cumulative distributions."""

    value: float
    size: float
    stable_size: float
    bound: float
    canary = None
    stable = None

    def _reach(self, alpha: float) -> float:
        return float(kolmogi(alpha)) * math.sqrt(1 / self.size + 1 / self.stable_size)

    def low(self, alpha: float) -> float:
        return max(0.0, self.value - self._reach(alpha))

    def high(self, alpha: float) -> float:
        return min(1.0, self.value + self._reach(alpha))


Measure = Share | Distance


def measured(evidence: Evidence) -> dict[str, Measure | None]:
    """Every measure by name; None where there is nothing to measure yet."""
    stable, canary, pairs = evidence.stable, evidence.canary, evidence.pairs
    both = (stable, canary) if stable is not None and canary is not None else None
    return {
        "server errors": _errors(*both, "server_errors") if both else None,
        "refused rows": _errors(*both, "schema_errors") if both else None,
        "slow requests": _latency(*both) if both else None,
        "score shift": _scores(*both) if both else None,
        "failed pairs": _failed(pairs),
        "slow pairs": _slow(pairs),
        "answers far apart": _apart(pairs),
        "answers flipped": _flipped(pairs),
    }


def _errors(stable: Counts, canary: Counts, of: str) -> Share | None:
    if not stable.requests or not canary.requests:
        return None
    return Share(
        hits=getattr(canary, of),
        size=canary.requests,
        stable_hits=getattr(stable, of),
        stable_size=stable.requests,
        bound=ERRORS,
    )


def _latency(stable: Counts, canary: Counts) -> Share | None:
    whole, canary_whole = _whole(stable.latency), _whole(canary.latency)
    common = sorted(stable.latency.keys() & canary.latency.keys())
    if not whole or not canary_whole or math.inf not in common:
        return None
    slow = next(
        bound
        for bound in common
        if bound >= FLOOR_SECONDS and stable.latency[bound] >= 0.99 * whole
    )
    if slow == math.inf:
        # More than one in a hundred are above every bound: the last one tells the most.
        slow = common[-2] if len(common) > 1 else slow
    return Share(
        hits=canary_whole - canary.latency[slow],
        size=canary_whole,
        stable_hits=whole - stable.latency[slow],
        stable_size=whole,
        bound=SLOW,
    )


def _scores(stable: Counts, canary: Counts) -> Distance | None:
    whole, canary_whole = _whole(stable.scores), _whole(canary.scores)
    common = stable.scores.keys() & canary.scores.keys()
    if not whole or not canary_whole or len(common) < 2:
        return None
    gaps = (
        abs(stable.scores[bound] / whole - canary.scores[bound] / canary_whole) for bound in common
    )
    # Rows of one request are no sample of their own: a release has as many as it has requests.
    return Distance(
        value=max(gaps),
        size=min(canary_whole, canary.requests),
        stable_size=min(whole, stable.requests),
        bound=SHIFT,
    )


def _failed(pairs: Pairs) -> Share | None:
    if not pairs.asked:
        return None
    return Share(
        hits=pairs.canary_failed,
        size=pairs.asked,
        stable_hits=pairs.stable_failed,
        stable_size=pairs.asked,
        bound=ERRORS,
    )


def _slow(pairs: Pairs) -> Share | None:
    size = len(pairs.stable_seconds)
    if not size:
        return None
    stable, canary = np.asarray(pairs.stable_seconds), np.asarray(pairs.canary_seconds)
    limit = max(FLOOR_SECONDS, float(np.quantile(stable, 0.99, method="higher")))
    return Share(
        hits=int(np.sum(~(canary <= limit))),
        size=size,
        stable_hits=int(np.sum(~(stable <= limit))),
        stable_size=size,
        bound=SLOW,
    )


def _apart(pairs: Pairs) -> Share | None:
    if not pairs.stable:
        return None
    far = ~(np.abs(np.subtract(pairs.stable, pairs.canary)) <= FAR)
    return Share(hits=int(np.sum(far)), size=len(pairs.stable), bound=APART)


def _flipped(pairs: Pairs) -> Share | None:
    """The judge knows no model's threshold: the stable's median splits what traffic there is."""
    if not pairs.stable:
        return None
    stable, canary = np.asarray(pairs.stable), np.asarray(pairs.canary)
    lower, middle, upper = np.quantile(stable, (0.25, 0.5, 0.75))
    near = max(_NEAR, _NEAR_IN_QUARTILES * float(upper - lower))
    flipped = ((stable > middle) != (canary > middle)) & ~(np.abs(stable - canary) <= near)
    return Share(hits=int(np.sum(flipped)), size=len(pairs.stable), bound=FLIPS)


def _whole(histogram: Mapping[float, float]) -> float:
    return histogram.get(math.inf, 0)


def _most(hits: float, size: float, alpha: float) -> float:
    return float(bdtri(hits, size, alpha)) if hits < size else 1.0


def _least(hits: float, size: float, alpha: float) -> float:
    return float(bdtri(hits - 1, size, 1 - alpha)) if hits > 0 else 0.0
