"""Who can reach whom in a whole stack: the page that says so, and what must hold."""

import pytest

from policy.reach import outward, ways
from policy.rule import Resource, Stack
from preview.reach import outside, page
from tests.program.recorder import PINNED, ROOT, Platform


@pytest.fixture
def stack(platform: Platform) -> Stack:
    return Stack([Resource.read(each) for each in platform("dev", PINNED).registered])


def between(stack: Stack) -> set[tuple[str, str]]:
    return {(each.source, each.target) for each in ways(stack, outside("traefik"))}


def test_the_page_is_of_the_stack_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    said = (ROOT / "docs" / "reachability.md").read_text()
    assert page("dev", ROOT) == said, "make it again: python -m preview.reach dev"


def test_a_model_is_reached_by_the_gateway_and_who_watches_it_alone(stack: Stack) -> None:
    found = {source for source, target in between(stack) if target == "dev-models/credit-default"}
    assert found == {"traefik/gateway", "dev-monitoring/prometheus"}


def test_no_model_reaches_mlflow_another_model_or_an_address_outside(stack: Stack) -> None:
    models = "dev-models/"
    reached = {target for source, target in between(stack) if source.startswith(models)}
    assert not {each for each in reached if "mlflow" in each or each.startswith(models)}
    assert not {pod for pod in outward(stack) if pod.startswith(models)}


def test_the_online_store_is_reached_by_jobs_and_models_alone(stack: Stack) -> None:
    found = {source for source, target in between(stack) if target == "dev-platform/online-store"}
    assert {each.partition("/")[0] for each in found} == {"dev-jobs", "dev-models"}


def test_nobody_may_reach_every_port_of_an_address_outside(stack: Stack) -> None:
    assert all("*" not in ports for ports in outward(stack).values())
