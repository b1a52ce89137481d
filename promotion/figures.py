"""Gates over a release's figures: its metric, what it loses to the champion, and fairness."""

from infra.settings import Pin
from promotion.dossier import Evidence, Part, Unusable
from promotion.record import Gate

WORSE = 0.02
"""AUC that a release may lose against the champion, at the low end of the difference's interval."""

MEASURES = ("demographic_parity_difference", "equalized_odds_difference")


def metric(found: Evidence, bound: float | None) -> Gate:
    """The low end of the AUC's interval keeps the bound: what may be chance is no proof."""
    low, value, _ = _interval(found.document("metrics.json")["metrics"]["auc"])
    if bound is None:
        return Gate(name="metric", passed=True, saw=low, text=f"AUC {value}; no bound is set")
    return Gate(
        name="metric",
        passed=low >= bound,
        saw=low,
        wanted=bound,
        text=f"AUC {value}, its 95% interval begins at {low}, wanted is at least {bound}",
    )


def champion(found: Evidence, bound: float | None, current: Pin | None) -> Gate:
    """Not inferior: the difference's whole interval lies above what may be lost."""
    part = found.document("metrics.json")["champion"]
    if part.value is not None and "incomparable" not in dict(part.items()):
        low, value, high = _interval(part["differences"]["auc"])
        return Gate(
            name="champion",
            passed=low >= -WORSE,
            saw=low,
            wanted=-WORSE,
            text=f"AUC differs from the champion's by {value} ({low} to {high}), "
            f"wanted is no less than {-WORSE}",
        )
    why = "no champion was compared with"
    if part.value is not None:
        why = f"the champion cannot be compared with: {part['incomparable'].value!r:.200}"
    if current is None:
        return Gate(name="champion", passed=True, text=f"{why}; the stack pins none yet")
    return Gate(
        name="champion",
        passed=bound is not None,
        saw="no comparison",
        wanted=bound,
        text=f"{why}; "
        + ("the bound of its own metric holds" if bound is not None else "set gates.minimumAuc"),
    )


def fairness(found: Evidence, bound: float | None) -> Gate:
    """The largest gap between groups, less what groups drawn by lot would show as well."""
    if bound is None:
        return Gate(name="fairness", passed=True, text="no bound is set")
    excess, where = 0.0, "no sensitive split is declared"
    for split, figures in found.document("fairness.json")["sensitive"].items():
        for measure in MEASURES:
            gap = figures[measure]
            if gap.value is None:
                raise Unusable(f"{gap.place}: too few rows to tell groups apart")
            value, chance = gap["value"].number(), gap["by_chance"].number()
            if not (0 <= value <= 1 and 0 <= chance <= 1):
                raise Unusable(f"{gap.place} has a share outside of 0 to 1")
            beyond = round(max(0.0, value - chance), 6)
            if beyond >= excess:
                excess = beyond
                where = f"{measure} of {split} is {value}, by chance up to {chance}"
    return Gate(
        name="fairness",
        passed=excess <= bound,
        saw=excess,
        wanted=bound,
        text=f"{where}: {excess} beyond chance, wanted is at most {bound}",
    )


def _interval(figure: Part) -> tuple[float, float, float]:
    low, value, high = (figure[name].number() for name in ("low", "value", "high"))
    if not low <= value <= high:
        raise Unusable(f"{figure.place} has value {value} outside of its interval {low} to {high}")
    return low, value, high
