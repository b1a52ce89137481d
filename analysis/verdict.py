"""Promote, roll back or hold: many looks at growing evidence, with errors bounded over them all.

A measure is tested anew when its sample has grown by a quarter, and its k-th test spends 1/k(k+1)
of the error it may make, so that however often the judge looks, a canary that is as good as the
stable is rolled back with a chance below `FALSE_ABORT`, and one that reaches a bound is promoted
with one below `FALSE_PROMOTION`. A canary is promoted when every measure has passed, so only an
abort shares its error among the measures.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from analysis.evidence import Counts, Evidence
from analysis.measures import Measure, measured

FALSE_ABORT = 0.003
"""Of one process; a canary of three steps stays below 1 %."""
FALSE_PROMOTION = 0.01
GROWTH = 1.25
FIRST = 20
"""Fewest requests, or pairs, that a measure is tested with."""

Word = Literal["promote", "roll back", "hold"]


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A measure, and what its last test said of it."""

    name: str
    measure: Measure | None
    low: float | None = None
    high: float | None = None
    state: Literal["passed", "failed", "open"] = "open"

    def document(self) -> dict[str, Any]:
        """As JSON: shares of canary and stable, value, interval, bound, sample and state."""
        if self.measure is None:
            return {"name": self.name, "state": self.state, "sample": 0}
        found = {
            "name": self.name,
            "state": self.state,
            "canary": _short(self.measure.canary),
            "stable": _short(self.measure.stable),
            "value": _short(self.measure.value),
            "interval": None if self.low is None else [_short(self.low), _short(self.high)],
            "bound": self.measure.bound,
            "sample": round(self.measure.size),
            "stableSample": None
            if not self.measure.stable_size
            else round(self.measure.stable_size),
        }
        return {key: value for key, value in found.items() if value is not None}

    def __str__(self) -> str:
        if self.measure is None:
            return f"{self.name}: nothing measured"
        text = f"{self.name} {self.measure.value:.3f}"
        if self.measure.canary is not None and self.measure.stable is not None:
            text = f"{self.name} {self.measure.canary:.3f} beside {self.measure.stable:.3f}"
        if self.low is not None and self.high is not None:
            text += f", so from {self.low:.3f} to {self.high:.3f}"
        return f"{text} where {self.measure.bound:g} may be ({round(self.measure.size)} seen)"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one look says, and why."""

    word: Word
    reason: str
    evidence: Evidence
    tested: tuple[Tested, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON, below 4096 bytes."""
        stable, canary = self.evidence.stable, self.evidence.canary
        return {
            "verdict": self.word,
            "reason": self.reason.encode()[:900].decode(errors="ignore"),
            "requests": {
                "canary": None if canary is None else round(canary.requests),
                "stable": None if stable is None else round(stable.requests),
            },
            "pairs": self.evidence.pairs.asked,
            "measures": [each.document() for each in self.tested],
        }

    def late(self) -> "Verdict":
        """This one at the deadline: what still holds is rolled back."""
        if self.word != "hold":
            return self
        reason = f"not enough evidence: {self.reason}"
        return Verdict(word="roll back", reason=reason, evidence=self.evidence, tested=self.tested)


@dataclass
class _Tests:
    """How often a measure was tested, and what the last test said."""

    aborts: int = 0
    promotions: int = 0
    size: float = 0
    last: Tested | None = None


@dataclass
class Looks:
    """All looks of one process. `minimum_requests` holds for each release."""

    minimum_requests: int
    _tests: dict[str, _Tests] = field(default_factory=dict)

    def look(self, evidence: Evidence) -> Verdict:
        """The verdict on all that was seen until now; samples only grow from look to look."""
        evidence = _sound(evidence)
        short = self._short(evidence)
        measures = measured(evidence)
        tested = tuple(
            self._test(name, measure, len(measures), not short)
            for name, measure in measures.items()
        )
        if failed := [each for each in tested if each.state == "failed"]:
            word, reason = "roll back", "; ".join(map(str, failed))
        elif short:
            word, reason = "hold", short
        elif left := [each for each in tested if not _passes(each)]:
            word, reason = "hold", "; ".join(map(str, left))
        else:
            word, reason = "promote", "every measure is within its bound"
        return Verdict(word=word, reason=reason, evidence=evidence, tested=tested)

    def _test(self, name: str, measure: Measure | None, among: int, enough: bool) -> Tested:
        tests = self._tests.setdefault(name, _Tests())
        if measure is None or measure.size < FIRST:
            return tests.last or Tested(name=name, measure=measure)
        due = measure.size >= GROWTH * tests.size or (enough and not tests.promotions)
        if not due and tests.last is not None:
            last = tests.last
            return Tested(
                name=name, measure=measure, low=last.low, high=last.high, state=last.state
            )
        tests.size = measure.size
        tests.aborts += 1
        tests.promotions += enough
        low = measure.low(_spent(FALSE_ABORT / among, tests.aborts))
        high = measure.high(_spent(FALSE_PROMOTION, max(1, tests.promotions)))
        state = "open"
        if low > measure.bound:
            state = "failed"
        elif enough and high <= measure.bound:
            state = "passed"
        tests.last = Tested(name=name, measure=measure, low=low, high=high, state=state)
        return tests.last

    def _short(self, evidence: Evidence) -> str:
        """What is missing for a promotion, whatever was measured."""
        if evidence.stable is None or evidence.canary is None:
            return evidence.missing or "no data"
        sides: dict[str, Counts] = {"canary": evidence.canary, "stable": evidence.stable}
        short = [
            f"{round(counts.requests)} of {self.minimum_requests} requests of the {name}"
            for name, counts in sides.items()
            if not counts.requests >= self.minimum_requests
        ]
        return ", ".join(short)


def _passes(tested: Tested) -> bool:
    """Whether the last test did, and what came since is no worse than the bound."""
    measure = tested.measure
    return tested.state == "passed" and measure is not None and measure.value <= measure.bound


def _spent(alpha: float, test: int) -> float:
    return alpha / (test * (test + 1))


def _sound(evidence: Evidence) -> Evidence:
    """Counts that are none, such as NaN, are no data."""
    sides = {"stable": evidence.stable, "canary": evidence.canary}
    unsound = [name for name, counts in sides.items() if counts is not None and not counts.sound]
    if not unsound:
        return evidence
    return Evidence(
        stable=None if "stable" in unsound else evidence.stable,
        canary=None if "canary" in unsound else evidence.canary,
        pairs=evidence.pairs,
        missing=f"the numbers of the {' and the '.join(unsound)} are no counts",
    )


def _short(number: float | None) -> float | None:
    return None if number is None else round(number, 5)
