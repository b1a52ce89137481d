"""The kinds of panel that the screens are made of."""

from collections.abc import Sequence
from itertools import count

from grafana_foundation_sdk.builders import (
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.models.common import BigValueColorMode
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = "prometheus"
"""The uid of the data source that the panels ask."""
_SOURCE = DataSourceRef(type_val="prometheus", uid=SOURCE)
_WIDTH = 24
_HEIGHT = 8

Query = tuple[str, str]
"""What is asked, in PromQL, and what a series of the answer is called."""
Panel = dashboard.Panel | heatmap.Panel | stat.Panel | statetimeline.Panel | timeseries.Panel


def lines(
    title: str, help_: str, *queries: Query, unit: str = "short", top: float | None = None
) -> Panel:
    """Series over time. `top` is where the axis ends, for what has a natural end."""
    panel = timeseries.Panel().fill_opacity(8).min(0)
    if top is not None:
        panel = panel.max(top)
    return _ask(panel.title(title).description(help_).unit(unit), queries)


def number(
    title: str,
    help_: str,
    query: str,
    *,
    unit: str = "short",
    decimals: int = 0,
    bad_from: float | None = None,
) -> Panel:
    """The newest value, large; red from `bad_from` on."""
    panel = stat.Panel().title(title).description(help_).unit(unit).decimals(decimals)
    if bad_from is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=bad_from, color="red")]
        panel = panel.thresholds(dashboard.ThresholdsConfig().steps(steps))
        panel = panel.color_mode(BigValueColorMode.BACKGROUND)
    return _ask(panel, [(query, "")])


def heat(title: str, help_: str, query: str, *, unit: str = "short") -> Panel:
    """A histogram over time: `query` gives its buckets, by `le`."""
    panel = heatmap.Panel().title(title).description(help_).unit(unit)
    target = (
        prometheus.Dataquery().expr(query).legend_format("{{le}}").format(PromQueryFormat.HEATMAP)
    )
    return panel.datasource(_SOURCE).with_target(target.ref_id("A"))


def states(title: str, help_: str, *queries: Query) -> Panel:
    """1 where something is so, 0 where it is not, as coloured bands."""
    return _ask(statetimeline.Panel().title(title).description(help_), queries)


def _ask(panel: Panel, queries: Sequence[Query]) -> Panel:
    panel = panel.datasource(_SOURCE)
    for place, (expression, legend) in enumerate(queries):
        target = prometheus.Dataquery().expr(expression).legend_format(legend)
        panel = panel.with_target(target.ref_id(chr(ord("A") + place)))
    return panel


def chosen(name: str, query: str) -> dashboard.QueryVariable:
    """A variable whose values `query` finds among the labels."""
    return (
        dashboard.QueryVariable(name)
        .query(query)
        .datasource(_SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def screen(
    name: str,
    title: str,
    rows: Sequence[tuple[str, Sequence[Panel]]],
    variables: Sequence[dashboard.QueryVariable] = (),
) -> Dashboard:
    """A dashboard of titled rows; the panels of a row share its width."""
    board = (
        dashboard.Dashboard(title)
        .uid(f"ferry-{name}")
        .tags(["ferry"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("utc")
        .readonly()
        .link(
            dashboard.DashboardLink("Ferry")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["ferry"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
    )
    for variable in variables:
        board = board.with_variable(variable)
    number_of = count(1)
    for heading, panels in rows:
        board = board.with_row(dashboard.Row(heading).id(next(number_of)))
        for panel in panels:
            board = board.with_panel(
                panel.id(next(number_of)).span(_WIDTH // len(panels)).height(_HEIGHT)
            )
    return board.build()
