"""Drift: false alarms, power and time of the measure, beside a fixed threshold and Evidently.

Run with the app's environment: `app/.venv/bin/python -m benchmarks.drift`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import beta

from app.reference import SCORE, Bins, Counts, Reference, tally
from app.schema import Category, Number, Schema
from app.watch import drift

_SEED = 20160331
_POOL = 50_000
"""Rows of the population that references and windows are drawn from, with replacement."""
_REFERENCE_ROWS = 7400
_TRIALS = {200: (200, 100), 500: (100, 100), 1000: (100, 100), 10_000: (100, 50)}
"""By rows of a window: references, and windows for each."""
_PEERS_WINDOWS = 100
_PSI = 0.2
_FIXED = 0.1

Draw = np.random.Generator
Shares = npt.NDArray[np.float64]

_WORDS = tuple("abcdefghij")
_SHARES = {"even": [1] * 6, "skewed": [50, 20, 10, 8, 6, 4, 1, 0.6, 0.3, 0.1], "flag": [97, 3]}
_NUMBERS = ("normal", "normal2", "normal3", "heavy", "heavy2", "heavy3", "even", "bimodal",
            "few", "many", "zeros", "zeros2")  # fmt: skip
_FEATURES = (
    *(Number(name=f"{name} number", low=-1e9, high=1e9) for name in _NUMBERS),
    *(
        Category(name=f"{name}{copy} word", values=_WORDS, ordered=copy == 2)
        for name in _SHARES
        for copy in (1, 2)
    ),
    Category(name="half word", values=("a", "b"), ordered=False),
)
SCHEMA = Schema(features=_FEATURES, target="y", positive="1", negative="0")


def population(draw: Draw) -> pd.DataFrame:
    """19 features and the score: of many shapes, and all of them correlated by one cause."""
    cause = draw.normal(size=_POOL)

    def normal() -> Shares:
        return 0.5 * cause + np.sqrt(0.75) * draw.normal(size=_POOL)

    def word(shares: list[float]) -> npt.NDArray[np.str_]:
        ends = np.quantile(ordinary := normal(), np.cumsum(shares) / sum(shares))
        return np.array(_WORDS)[np.minimum(np.searchsorted(ends, ordinary), len(shares) - 1)]

    columns = [normal() for _ in range(3)]
    columns += [np.exp(scale * normal()) for scale in (0.5, 1, 2)]
    columns += [np.argsort(np.argsort(normal())) / _POOL, normal() + 3 * (normal() > 0)]
    columns += [draw.poisson(np.exp(0.3 * normal()) * mean) for mean in (0.3, 5.0)]
    columns += [np.where(normal() > share, np.exp(normal()), 0) for share in (0.0, 2.0)]
    columns += [word(shares) for shares in _SHARES.values() for _ in (1, 2)] + [word([1, 1])]
    score = 1 / (1 + np.exp(3 - normal()))
    return pd.DataFrame({**dict(zip(SCHEMA.names, columns, strict=True)), SCORE: score})


@dataclass(frozen=True)
class World:
    """One reference, and the bin of every row of the population in each of its columns."""

    reference: Reference
    bins: Mapping[str, Bins]

    @classmethod
    def of(cls, pool: pd.DataFrame, draw: Draw) -> "World":
        rows = pool.iloc[draw.integers(0, len(pool), _REFERENCE_ROWS)]
        # The score's reference is of the rows held out, a quarter.
        reference = Reference.of(SCHEMA, rows, rows[SCORE].head(_REFERENCE_ROWS // 4))
        spreads = reference.spreads.items()
        return cls(reference, {name: spread.bins(pool[name]) for name, spread in spreads})

    def expected(self) -> list[Counts]:
        spreads = self.reference.spreads.values()
        return [np.array((*spread.counts, spread.missing)) for spread in spreads]

    def counts(self, rows: npt.NDArray[np.int64]) -> list[Counts]:
        """What `drift.measure` counts of those rows."""
        spreads = self.reference.spreads.items()
        return [tally(spread, self.bins[name][rows]) for name, spread in spreads]


def judge(expected: list[Counts], found: list[Counts]) -> tuple[npt.NDArray[np.bool_], float]:
    """Which columns have drifted, and the largest plain PSI, where none is smoothed away."""
    shifts = drift.compare(expected, found, [True] * len(found))
    plain = max(plain_index(*pair) for pair in zip(expected, found, strict=True))
    return np.array([shift.drifted for shift in shifts]), plain


def plain_index(expected: Counts, found: Counts) -> float:
    """PSI as one usually has it: an empty bin counts as 0.0001, as in Evidently."""
    p, q = (np.maximum(side / side.sum(), 1e-4) for side in (found, expected))
    return float(((p - q) * np.log(p / q)).sum())


def false_alarms(pool: pd.DataFrame, rows: int, draw: Draw) -> tuple[list[int], list[int]]:
    """Alarms of each reference, ours and those of the fixed threshold."""
    ours, fixed = [], []
    references, windows = _TRIALS[rows]
    for _ in range(references):
        world = World.of(pool, draw)
        expected = world.expected()
        judged = [
            judge(expected, world.counts(draw.integers(0, len(pool), rows))) for _ in range(windows)
        ]
        ours.append(sum(bool(drifted.any()) for drifted, _ in judged))
        fixed.append(sum(plain > _FIXED for _, plain in judged))
    return ours, fixed


def drifted_weights(bins: Bins, tail: bool) -> Shares:
    """Of each row, so that the shares of the bins are at a PSI of 0.2 from what they were.

    Either rows of every bin get likelier than those of the bin below, or those of the last do.
    """
    q = np.bincount(bins) / len(bins)
    direction = np.arange(len(q)) == np.flatnonzero(q)[-1] if tail else np.arange(len(q))

    def shares(strength: float) -> Shares:
        p = q * np.exp(strength * direction)
        return p / p.sum()

    def beyond(strength: float) -> float:
        p, known = shares(strength), q > 0
        return float(((p - q)[known] * np.log(p[known] / q[known])).sum()) - _PSI

    p = shares(brentq(beyond, 0, 20))
    weights = np.divide(p, q, out=np.zeros_like(q), where=q > 0)[bins]
    return weights / weights.sum()


def power(pool: pd.DataFrame, rows: int, draw: Draw, windows: int = 100) -> dict[str, float]:
    """Share of windows in which a drift of 0.2 is seen in the one column that has it."""
    seen: dict[str, list[bool]] = {}
    for _ in range(10):
        world = World.of(pool, draw)
        expected = dict(zip(world.bins, world.expected(), strict=True))
        for name, bins in world.bins.items():
            spread = world.reference.spreads[name]
            for tail in (False, True):
                weights = drifted_weights(bins, tail)
                shares = np.bincount(bins, weights, minlength=len(spread.counts) + 1)
                limit = drift.threshold(
                    rows, expected[name].sum(), len(expected[name]), len(world.bins)
                )
                found = [
                    draw.multinomial(rows, shares / shares.sum()) for _ in range(windows // 10)
                ]
                shifts = drift.compare([expected[name]] * len(found), found, [True] * len(found))
                key = f"{name}, {'its last bin' if tail else 'every bin'}"
                seen.setdefault(key, []).extend(shift.psi > limit for shift in shifts)
    return {name: float(np.mean(each)) for name, each in seen.items()}


def evidently_alarms(pool: pd.DataFrame, rows: int, draw: Draw) -> tuple[list[int], float]:
    """Columns that Evidently's default tests call drifted in each window without any drift, and the
    share of windows in which they see a drift of 0.2 in one number (every bin of it)."""
    from evidently.legacy.calculations.stattests.registry import get_stattest
    from evidently.legacy.core import ColumnType

    alarms, seen = [], []
    for _ in range(_PEERS_WINDOWS):
        before = pool.iloc[draw.integers(0, len(pool), _REFERENCE_ROWS)]
        now = pool.iloc[draw.integers(0, len(pool), rows)]
        number = SCHEMA.names[0]
        bins = Reference.of(SCHEMA, before, before[SCORE]).spreads[number].bins(pool[number])
        weighted = draw.choice(len(pool), rows, p=drifted_weights(bins, tail=False))

        def drifted(name: str, window: pd.DataFrame, before: pd.DataFrame = before) -> bool:
            kind = ColumnType.Categorical if name.endswith("word") else ColumnType.Numerical

            test = get_stattest(before[name], window[name], kind, None)
            return test(before[name], window[name], kind, None).drifted

        alarms.append(sum(drifted(name, now) for name in pool))
        seen.append(drifted(number, pool.iloc[weighted]))
    return alarms, float(np.mean(seen))


def interval(alarms: list[int], windows: int) -> tuple[float, float, float]:
    """Alarms per 1,000 windows with the 95 % interval of Clopper and Pearson.

    Windows of one reference are no independent trials, so they count for fewer, by as much as the
    references differ more than chance would have them.
    """
    total = windows * len(alarms)
    rate = sum(alarms) / total
    expected = rate * (1 - rate) / windows
    effect = max(1, np.var(np.array(alarms) / windows, ddof=1) / expected) if rate else 1.0
    found, trials = sum(alarms) / effect, total / effect
    low = beta.ppf(0.025, found, trials - found + 1) if found else 0.0
    high = beta.ppf(0.975, found + 1, trials - found) if found < trials else 1.0
    return 1000 * rate, 1000 * low, 1000 * high


def seconds(pool: pd.DataFrame, draw: Draw) -> tuple[float, float]:
    """CPU of 10,000 rows by 20 columns: `measure`, and Evidently's report with its own tests."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    before, now = (pool.iloc[draw.integers(0, len(pool), 10_000)] for _ in range(2))
    reference = Reference.of(SCHEMA, before, before[SCORE])
    words = [name for name in pool if name.endswith("word")]
    numbers = [name for name in pool if not name.endswith("word")]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=words)
    sides = [Dataset.from_pandas(side.reset_index(drop=True), definition) for side in (now, before)]
    return (
        _best(lambda: drift.measure(reference, now), 9),
        _best(lambda: Report([DataDriftPreset()]).run(*sides), 2),
    )


def _best(call: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    draw = np.random.default_rng(_SEED)
    pool = population(draw)
    print("| rows | measure | false alarms in 1,000 windows | of the worst reference |", end="")
    print(" a PSI of 0.2 is seen | … where it is seen least |\n|---|---|---|---|---|---|")

    def tell(rows: int, name: str, alarms: list[int], windows: int, *seen: str) -> None:
        rate, low, high = interval(alarms, windows)
        worst = f"{1000 * max(alarms) / windows:.0f}" if windows > 1 else ""
        figures = [f"{rows:,}", name, f"{rate:.2f} ({low:.2f} to {high:.2f})", worst, *seen]
        print(f"| {' | '.join(figures)} |", flush=True)

    for rows, (_, windows) in _TRIALS.items():
        ours, fixed = false_alarms(pool, rows, draw)
        seen = power(pool, rows, draw)
        weakest = min(seen, key=seen.__getitem__)
        least = f"{seen[weakest]:.0%}: {weakest}"
        tell(rows, "ours", ours, windows, f"{np.mean(list(seen.values())):.1%}", least)
        tell(rows, "any PSI above 0.1", fixed, windows, "", "")
        columns, found = evidently_alarms(pool, rows, draw)
        one, half = (
            [int(each >= fewest) for each in columns] for fewest in (1, len(_FEATURES) / 2)
        )
        tell(rows, "Evidently, any column", one, 1, f"{found:.0%}", "")
        tell(rows, "Evidently, half of the columns", half, 1, "", "")
    mine, theirs = seconds(pool, draw)
    print(f"\n10,000 rows of 20 columns: {mine:.3f} CPU s, Evidently {theirs:.2f} CPU s")


if __name__ == "__main__":
    main()
