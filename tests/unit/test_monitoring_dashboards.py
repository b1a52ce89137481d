"""Grafana's screens: whole, the same bytes each time, and every query is PromQL."""

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import promql_parser
import pytest

from monitoring import dashboards
from monitoring.dashboards import cost
from monitoring.dashboards.panels import SOURCE
from monitoring.prices import Prices

_AGGREGATES = r"sum|max|min|count|histogram_quantile\(.*?sum"
TEXTS = dashboards.texts()
BOARDS = {name: json.loads(text) for name, text in TEXTS.items()}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]


def queries(board: dict[str, Any]) -> list[str]:
    return [each["expr"] for panel in board["panels"] for each in panel.get("targets", [])]


def filled(query: str) -> str:
    """As Grafana sends it: with a value for every variable."""
    return query.replace("$__rate_interval", "5m").replace("$model", "credit-default")


def test_there_is_a_screen_for_a_model_a_delivery_the_platform_and_the_cost() -> None:
    assert sorted(BOARDS) == [
        "ferry-cost.json",
        "ferry-delivery.json",
        "ferry-model.json",
        "ferry-platform.json",
    ]


def test_the_same_program_gives_the_same_bytes() -> None:
    assert dashboards.texts() == TEXTS


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_and_asks_the_provisioned_source(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": SOURCE}
    assert panel["targets"]
    assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panels_queries_are_promql(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        promql_parser.parse(filled(target["expr"]))


@pytest.mark.parametrize("panel", PANELS)
def test_series_that_are_told_apart_are_named_by_a_label_that_the_query_keeps(
    panel: dict[str, Any],
) -> None:
    for target in panel["targets"]:
        kept = re.match(
            r"(?:sum|max|min|count|histogram_quantile\(.*?sum) by \((.*?)\)", target["expr"]
        )
        if kept:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert named <= {each.strip() for each in kept[1].split(",")}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_of_a_screen_have_ids_and_places_of_their_own(board: dict[str, Any]) -> None:
    ids = Counter(panel["id"] for panel in board["panels"])
    assert set(ids.values()) == {1}
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("name", ["ferry-model.json", "ferry-delivery.json"])
def test_every_query_of_a_models_screens_is_of_the_chosen_model(name: str) -> None:
    board = BOARDS[name]
    assert [each["name"] for each in board["templating"]["list"]] == ["model"]
    assert [query for query in queries(board) if "$model" not in query] == []


def test_a_variable_that_is_not_declared_is_used_nowhere() -> None:
    for board in BOARDS.values():
        declared = {each["name"] for each in board["templating"].get("list", [])}
        used = {name for query in queries(board) for name in re.findall(r"\$(\w+)", query)}
        assert used - {"__rate_interval"} <= declared


def test_the_cost_is_of_the_table_of_prices() -> None:
    prices = Prices.read()
    asked = json.dumps(BOARDS["ferry-cost.json"])
    for price in (prices.cpu, prices.memory, prices.volume):
        assert f"* {price}" in asked
    assert str(prices.as_of) in asked


def test_another_price_is_another_screen() -> None:
    prices = Prices.read()
    dearer = replace(prices, cpu=prices.cpu * 2)
    before, after = (queries_of(cost.board(each)) for each in (prices, dearer))
    assert before != after


def queries_of(board: Any) -> list[str]:  # noqa: ANN401 - the SDK's
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    return queries(json.loads(JSONEncoder().encode(board)))
