"""The card says what was found, opens without a network, and runs nothing that a name contains."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from conftest import MODEL, Trained

from app import card, champion, evidence
from app.definition import Grouping
from app.serving import model as served

pytestmark = pytest.mark.slow

SOURCE = {"key": "data/x.parquet", "versionId": "1", "sha256": "0", "commit": "c", "dirty": False}
HOSTILE = "<script>alert(1)</script>|`[x](javascript:alert(1))![y](http://example.org/z.png)&lt;"


class Page(HTMLParser):
    """Every element of a page with its attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def judged(loans: pd.DataFrame, trained: Trained) -> evidence.Evidence:
    hostile = replace(
        MODEL,
        limits=(HOSTILE, *MODEL.limits),
        slices=(
            *MODEL.slices,
            Grouping(name="hostile", of=lambda table: pd.Series([HOSTILE] * len(table))),
        ),
    )
    return evidence.collect(
        hostile,
        loans,
        served.load(trained.folder, trained.weights),
        {**SOURCE, "weights": trained.weights},
        champion.Champion(version=3, alias="dev", model=HOSTILE),
    )


@pytest.fixture(scope="module")
def page(judged: evidence.Evidence) -> Page:
    return Page(judged.files["card.html"].decode())


def test_the_card_has_all_that_a_reader_asks_for(judged: evidence.Evidence) -> None:
    text = judged.files["card.md"].decode()
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles == [
        "Intended use",
        "Limits",
        "Data",
        "Performance",
        "Features",
        "Slices",
        "Fairness",
        "Robustness",
        "Privacy",
    ]
    assert MODEL.intended_use in text


def test_every_figure_of_the_card_is_that_of_the_evidence(
    judged: evidence.Evidence, page: Page
) -> None:
    documents: dict[str, Any] = {
        name: json.loads(judged.files[f"{name}.json"])
        for name in ("metrics", "fairness", "privacy")
    }
    attack = documents["privacy"]["membership_inference"]["likelihood_ratio"]["auc"]
    gap = documents["fairness"]["sensitive"]["region"]["demographic_parity_difference"]
    intervals = [*documents["metrics"]["metrics"].values(), attack]
    for text in (judged.files["card.md"].decode(), page.text):
        for figure in intervals:
            said = f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"
            assert said in text
        assert gap is None or f"{gap['value']:.3f}" in text
        for level in documents["metrics"]["robustness"]:
            assert f"{level['auc']:.4f}" in text


def test_the_page_shows_the_plots_without_a_network(judged: evidence.Evidence, page: Page) -> None:
    images = [attributes["src"] or "" for tag, attributes in page.elements if tag == "img"]
    shown = [base64.b64decode(image.removeprefix("data:image/png;base64,")) for image in images]
    assert sorted(shown) == sorted(judged.plots.values())
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "srcset")
    ]
    assert all(address and address.startswith("data:image/png;base64,") for address in addresses)


def test_the_pages_policy_allows_its_own_style_and_nothing_else(page: Page) -> None:
    policies = [
        attributes["content"] or ""
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policies[0]
    assert not [attributes for _, attributes in page.elements if "style" in attributes]


def test_a_hostile_name_stays_text(judged: evidence.Evidence, page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "a", "iframe", "object", "link"}
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    # As a limit, as a group of a slice, and as the reason why there is no comparison.
    assert page.text.count("<script>alert(1)</script>|`[x](javascript:alert(1))![y]") == 3
    rows = [line for line in judged.files["card.md"].decode().splitlines() if "alert" in line]
    assert all("<script" not in line.replace(r"\<", "") for line in rows)


def test_a_model_without_sensitive_splits_or_limits_says_so(
    loans: pd.DataFrame, loaded: served.Model, trained: Trained
) -> None:
    plain = replace(MODEL, limits=(), sensitive=(), slices=())
    found = evidence.collect(plain, loans, loaded, {**SOURCE, "weights": trained.weights})
    text = found.files["card.md"].decode()
    assert "None are stated." in text
    assert "No sensitive split is declared" in text
    assert "no earlier version" in text


def test_the_titles_of_a_page_are_escaped() -> None:
    page = card.html("a</title><script>", "# x")
    assert "<script>" not in page
