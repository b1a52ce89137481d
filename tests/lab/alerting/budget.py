"""When an error budget burns too fast: both windows must say so."""

from collections.abc import Iterator

from monitoring import slo
from tests.lab.alerting.case import Case

_LOANS = {"model": "loans"}


def _cases(objective: slo.Objective, burn: slo.Burn) -> Iterator[Case]:
    """The limit is 5 % above, or below, what each window says."""
    limit = burn.factor * (1 - objective.target)
    above, below = f"{limit * 1.05:.6f}", f"{limit * 0.95:.6f}"
    rule = f"ErrorBudgetBurn{burn.long}/{objective.name}"
    other = next(each.name for each in slo.OBJECTIVES if each != objective)

    def series(long: str, short: str, of: str = objective.name) -> dict[str, str]:
        """Of the model's objective `of`; its other one and another model are well."""
        well = other if of == objective.name else objective.name
        return {
            f'{slo.ratio(window)}{{model="{model}",slo="{name}"}}': values
            for window, values in ((burn.long, long), (burn.short, short))
            for model, name, values in (
                ("loans", of, values),
                ("loans", well, "0x60"),
                ("cards", of, "0x60"),
            )
        }

    yield Case(
        rule=rule,
        says="both are above; then the short one is below again",
        series=series(f"0x9 {above}x50", f"0x9 {above}x20 {below}x30"),
        looks={"9m": [], "10m": [], "11m": [_LOANS], "30m": [_LOANS], "32m": []},
    )
    yield Case(
        rule=rule,
        says="only the long one is above",
        series=series(f"{above}x60", f"{below}x60"),
        looks={"10m": []},
    )
    yield Case(
        rule=rule,
        says="only the short one is above",
        series=series(f"{below}x60", f"{above}x60"),
        looks={"10m": []},
    )
    yield Case(
        rule=rule,
        says="both are above for the other objective",
        series=series(f"{above}x60", f"{above}x60", other),
        looks={"10m": []},
    )
    exact = f"{round(limit, 6)}"
    yield Case(
        rule=rule,
        says="the long one is at the limit",
        series=series(f"{exact}x60", f"{above}x60"),
        looks={"10m": []},
    )
    yield Case(
        rule=rule,
        says="the short one is at the limit",
        series=series(f"{above}x60", f"{exact}x60"),
        looks={"10m": []},
    )
    nothing = " ".join(["NaN"] * 40)
    yield Case(
        rule=rule,
        says="nobody asks: a share of nothing",
        series=series(nothing, nothing),
        looks={"10m": []},
    )
    yield Case(rule=rule, says="no model", series={}, looks={"10m": []})


CASES = tuple(
    case for burn in slo.BURNS for objective in slo.OBJECTIVES for case in _cases(objective, burn)
)
