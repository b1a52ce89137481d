"""`python -m benchmarks.verdicts`: how often the judge of a canary is wrong, beside fixed rules.

Traffic with known error rates, latencies and answers, drawn anew for each canary: steps of 10 and
50 %, a fifth of the requests mirrored to both, a look every other second until the deadline. Beside
it, on the same requests, a rule as Flagger has it (a check a minute: 99 % succeed and the 99th
percentile is below 0.5 s; five failed checks roll back) and an alarm on any 5xx as AWS CodeDeploy
documents it; both promote after ten minutes.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from analysis.evidence import Counts, Evidence, Pairs
from analysis.verdict import Looks

STEPS = (0.1, 0.5)
MIRRORED = 0.2
LOOK_SECONDS = 2
DEADLINE_SECONDS = 600
MINIMUM_REQUESTS = 300
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
SCORES = tuple(step / 20 for step in range(1, 21))

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class World:
    """What is true of a canary, and what should become of it."""

    good: bool
    errors: float = 0.001
    canary_errors: float = 0.001
    slower: float = 1.0
    noise: float = 0.05
    """Standard deviation of the log-odds between two models; 0.19 has the 7 % of answers across the
    median that two models have which were trained on disjoint halves of the loans."""
    flipped: float = 0.0
    answers: str = "its own"
    late: float = 0.0
    """Share of the stable's requests that are above half a second."""


WORLDS = {
    "equal": World(good=True),
    "retrained": World(good=True, noise=0.19),
    "stable as sick: 5 % errors": World(good=True, errors=0.05, canary_errors=0.05),
    "stable sicker: 5 % errors": World(good=True, errors=0.05),
    "stable as slow: 2 % above 0.5 s": World(good=True, late=0.02),
    "5 % errors": World(good=False, canary_errors=0.05),
    "100 % errors": World(good=False, canary_errors=1.0),
    "latency doubled": World(good=False, slower=2.0),
    "20 % of answers flipped": World(good=False, flipped=0.2),
    "answers shuffled": World(good=False, answers="shuffled"),
    "answers constant": World(good=False, answers="constant"),
}


@dataclass
class Side:
    """One release's counters."""

    requests: int = 0
    errors: int = 0
    seconds: Floats = field(default_factory=lambda: np.zeros(len(BUCKETS) + 1))
    scores: Floats = field(default_factory=lambda: np.zeros(len(SCORES) + 1))

    def add(self, failed: npt.NDArray[np.bool_], seconds: Floats, scores: Floats) -> None:
        self.requests += len(failed)
        self.errors += int(failed.sum())
        answered = ~failed
        for counts, bounds, values in (
            (self.seconds, BUCKETS, seconds[answered]),
            (self.scores, SCORES, scores[answered]),
        ):
            counts += np.bincount(np.searchsorted(bounds, values), minlength=len(bounds) + 1)

    def counts(self) -> Counts:
        return Counts(
            requests=self.requests,
            server_errors=self.errors,
            latency=dict(zip((*BUCKETS, math.inf), np.cumsum(self.seconds).tolist(), strict=True)),
            scores=dict(zip((*SCORES, math.inf), np.cumsum(self.scores).tolist(), strict=True)),
        )


class Traffic:
    """Requests of one step, look by look."""

    def __init__(
        self, world: World, rate: float, share: float, seed: int, *, paired: bool = True
    ) -> None:
        self.paired = paired
        """Whether pairs are kept; the fixed rules have no use for them."""
        self.world, self.rate, self.share = world, rate, share
        self.random = np.random.default_rng(seed)
        self.sides = {"stable": Side(), "canary": Side()}
        self.pairs = Pairs()

    def looks(self) -> Iterator[Evidence]:
        for _ in range(DEADLINE_SECONDS // LOOK_SECONDS):
            live = self.random.poisson(self.rate * LOOK_SECONDS)
            new = self.random.binomial(live, self.share)
            self._ask("stable", self._rows(live - new))
            self._ask("canary", self._rows(new))
            self._mirror(self._rows(self.random.binomial(live, MIRRORED)))
            yield Evidence(
                stable=self.sides["stable"].counts(),
                canary=self.sides["canary"].counts(),
                pairs=self.pairs,
            )

    def _rows(self, count: int) -> Floats:
        """Log-odds that the stable gives; one loan in twenty fails."""
        return self.random.normal(-3.2, 0.8, count)

    def _ask(self, release: str, rows: Floats) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
        world, size = self.world, len(rows)
        canary = release == "canary"
        failed = self.random.random(size) < (world.canary_errors if canary else world.errors)
        seconds = self.random.lognormal(math.log(0.003), 0.6, size)
        seconds = np.where(self.random.random(size) < world.late, seconds + 0.5, seconds)
        seconds *= world.slower if canary else 1.0
        scores = self._answers(rows) if canary else 1 / (1 + np.exp(-rows))
        self.sides[release].add(failed, seconds, scores)
        return failed, seconds, scores

    def _answers(self, rows: Floats) -> Floats:
        world = self.world
        if world.answers == "constant":
            return np.full(len(rows), 0.05)
        if world.answers == "shuffled":
            return 1 / (1 + np.exp(-self._rows(len(rows))))
        odds = rows + self.random.normal(0, world.noise, len(rows))
        flipped = self.random.random(len(rows)) < world.flipped
        return 1 / (1 + np.exp(-np.where(flipped, -6.4 - odds, odds)))

    def _mirror(self, rows: Floats) -> None:
        failed, seconds, scores = self._ask("stable", rows)
        canary_failed, canary_seconds, canary_scores = self._ask("canary", rows)
        if not self.paired:
            return
        both = ~failed & ~canary_failed
        before = self.pairs
        self.pairs = Pairs(
            asked=before.asked + len(rows),
            stable_failed=before.stable_failed + int(failed.sum()),
            canary_failed=before.canary_failed + int(canary_failed.sum()),
            stable=(*before.stable, *scores[both].tolist()),
            canary=(*before.canary, *canary_scores[both].tolist()),
            stable_seconds=(*before.stable_seconds, *seconds[both].tolist()),
            canary_seconds=(*before.canary_seconds, *canary_seconds[both].tolist()),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    promoted: bool
    proven: bool
    """Whether the evidence said so, and not the deadline."""
    seconds: float
    requests: int
    """Of the canary, until the decision."""


def judged(world: World, rate: float, seed: int) -> Outcome:
    """A whole canary: every step must be promoted."""
    seconds, requests = 0.0, 0
    for place, share in enumerate(STEPS):
        traffic, looks = Traffic(world, rate, share, seed * 7 + place), Looks(MINIMUM_REQUESTS)
        word = "hold"
        for evidence in traffic.looks():
            seconds += LOOK_SECONDS
            word = looks.look(evidence).word
            if word != "hold":
                break
        requests += traffic.sides["canary"].requests
        if word != "promote":
            return Outcome(
                promoted=False, proven=word != "hold", seconds=seconds, requests=requests
            )
    return Outcome(promoted=True, proven=True, seconds=seconds, requests=requests)


def fixed(world: World, rate: float, seed: int) -> dict[str, Outcome]:
    """What the two rules make of the first step's requests."""
    traffic = Traffic(world, rate, STEPS[0], seed * 7, paired=False)
    canary = traffic.sides["canary"]
    alarm = stopped = 0.0
    seen = {"alarm": 0, "stopped": 0}
    failed_checks, before = 0, (0, 0, canary.seconds.copy())
    for place, _ in enumerate(traffic.looks(), 1):
        seconds = place * LOOK_SECONDS
        if canary.errors and not alarm:
            alarm, seen["alarm"] = seconds, canary.requests
        if seconds % 60 == 0 and not stopped:
            requests, errors = canary.requests - before[0], canary.errors - before[1]
            timed = canary.seconds - before[2]
            late = timed[-2:].sum() > 0.01 * timed.sum()
            failed_checks += errors > 0.01 * requests or bool(late)
            before = (canary.requests, canary.errors, canary.seconds.copy())
            if failed_checks == 5:
                stopped, seen["stopped"] = seconds, canary.requests
    return {
        name: Outcome(
            promoted=not at,
            proven=True,
            seconds=at or DEADLINE_SECONDS,
            requests=seen[key] or canary.requests,
        )
        for name, key, at in (
            ("success rate >= 99 %", "stopped", stopped),
            ("alarm on any 5xx", "alarm", alarm),
        )
    }


def measure(canaries: int, rate: float, only: str | None) -> list[dict[str, object]]:
    """One row for each world and rule."""
    rows: list[dict[str, object]] = []
    for name, world in WORLDS.items():
        if only is not None and only not in name:
            continue
        found: dict[str, list[Outcome]] = {
            "Ferry": [judged(world, rate, n) for n in range(canaries)]
        }
        for seed in range(min(canaries, 100)):  # these run to their end, and vary little
            for rule, outcome in fixed(world, rate, seed).items():
                found.setdefault(rule, []).append(outcome)
        for rule, outcomes in found.items():
            words = Counter(outcome.promoted for outcome in outcomes)
            times = [outcome.seconds for outcome in outcomes]
            rows.append(
                {
                    "canary": name,
                    "rule": rule,
                    "canaries": len(outcomes),
                    "promoted": words[True],
                    "wrong": words[not world.good] / len(outcomes),
                    "undecided": sum(not outcome.proven for outcome in outcomes),
                    "seconds": float(np.median(times)),
                    "seconds95": float(np.quantile(times, 0.95)),
                    "requests": float(np.median([outcome.requests for outcome in outcomes])),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canaries", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50, help="requests per second, of all")
    parser.add_argument("--only", help="part of a canary's name")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.canaries, options.rate, options.only)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(
        "canary", "rule", "wrong", "of", "undecided", "s, median", "s, 95th", "its requests",
        title=f"verdicts at {options.rate:g} requests/s", title_justify="left",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            str(row["canary"]), str(row["rule"]), f"{row['wrong']:.2%}", str(row["canaries"]),
            str(row["undecided"]), f"{row['seconds']:.0f}", f"{row['seconds95']:.0f}",
            f"{row['requests']:.0f}",
        )  # fmt: skip
    console = Console()
    console.width = max(console.width, 120)
    console.print(table)


if __name__ == "__main__":
    main()
