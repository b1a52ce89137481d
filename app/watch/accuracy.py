"""How good predictions were, by their outcomes: accuracy, calibration, cost and what is missing."""

from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt

from app.definition import Costs
from app.watch.join import UNKNOWN, Joined

_BINS = 10
_FEWEST_A_BIN = 10
"""With fewer, chance alone is taken for an error of calibration."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Figures over the predictions past maturity; NaN where there is nothing to tell."""

    matured: int
    """Predictions whose outcome is known."""
    missing_ratio: float
    """Share of predictions past maturity whose outcome is not."""
    accuracy: float
    """Share that the model called rightly at its threshold."""
    lower: float
    """Of the accuracy, by Wilson's 95 % interval."""
    upper: float
    calibration_error: float
    """Expected calibration error over ten bins of equally many predictions."""
    cost: float
    """Mean cost of a decision, in the unit of the definition's costs."""


def measure(joined: Joined, threshold: float, costs: Costs | None) -> Measures:
    """The figures of predictions that are past maturity.

    Those before it are left out although some of their outcomes are known: a loan that defaults is
    known to be bad at once, one that does not is known to be good only in the end. Taking outcomes
    as they come would count the bad ones first and make every young model look bad.
    """
    known = joined.outcomes != UNKNOWN
    scores, outcomes = joined.scores[known], joined.outcomes[known]
    # As the server's clients decide: float32 against a float.
    positive = scores.astype(np.float64) >= threshold
    right = int(np.count_nonzero(positive == (outcomes == 1)))
    lower, upper = _wilson(right, len(scores))
    return Measures(
        matured=len(scores),
        missing_ratio=_ratio(len(known) - len(scores), len(known)),
        accuracy=_ratio(right, len(scores)),
        lower=lower,
        upper=upper,
        calibration_error=_calibration_error(scores, outcomes),
        cost=nan if costs is None else _cost(positive, outcomes, costs),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else nan


def _wilson(right: int, rows: int) -> tuple[float, float]:
    if not rows:
        return nan, nan
    from scipy.stats import binomtest  # seconds to import, and no need of it before the first rows

    interval = binomtest(right, rows).proportion_ci(0.95, "wilson")
    return float(interval.low), float(interval.high)


def _calibration_error(scores: npt.NDArray[np.float32], outcomes: npt.NDArray[np.int8]) -> float:
    if len(scores) < _BINS * _FEWEST_A_BIN:
        return nan
    order = np.argsort(scores, kind="stable")
    bins = np.array_split(np.stack([scores[order], outcomes[order]]).astype(np.float64), _BINS, 1)
    gaps = [abs(said.sum() - was.sum()) for said, was in bins]
    return float(sum(gaps) / len(scores))


def _cost(positive: npt.NDArray[np.bool_], outcomes: npt.NDArray[np.int8], costs: Costs) -> float:
    if not len(outcomes):
        return nan
    false_positives = np.count_nonzero(positive & (outcomes == 0))
    false_negatives = np.count_nonzero(~positive & (outcomes == 1))
    total = false_positives * costs.false_positive + false_negatives * costs.false_negative
    return float(total / len(outcomes))
