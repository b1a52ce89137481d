"""A promotion's report shows the evidence's figures, and foreign words as nothing but words."""

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from markdown_it import MarkdownIt

from promotion import findings, plots
from promotion.dossier import Evidence
from promotion.findings import Figure, Figures, Gap
from promotion.record import Gate, Record
from promotion.release import digest
from promotion.report import Facts, as_html, as_markdown
from tests.unit.test_ledger import NOON, a_moved
from tests.unit.test_markdown import Page
from tests.unit.test_release import a_release

METRICS = {
    "metrics": {
        "auc": {"value": 0.78, "low": 0.7123, "high": 0.81},
        "brier": {"value": 0.05, "low": 0.04, "high": 0.06},
    },
    "baseline": {"auc": 0.5},
    "champion": {
        "version": 6,
        "alias": "dev",
        "differences": {"auc": {"value": 0.02, "low": -0.0111, "high": 0.05}},
    },
}
FAIRNESS = {
    "sensitive": {
        "region": {
            "demographic_parity_difference": {"value": 0.0917, "by_chance": 0.0743},
            "equalized_odds_difference": None,
        }
    }
}
VALIDATION = {"success": True, "checks": 95, "failures": [], "sha256": "2" * 64}


def some_evidence(**changes: Any) -> Evidence:  # noqa: ANN401
    documents = {"metrics": METRICS, "fairness": FAIRNESS, "validation": VALIDATION, **changes}
    files = {
        f"{name}.json": json.dumps(document).encode()
        for name, document in documents.items()
        if document is not None
    }
    listed = {name: digest(content) for name, content in files.items()}
    return Evidence(release=a_release(files=listed), files=files)


def facts(words: str = "", **changes: Any) -> Facts:  # noqa: ANN401
    """A report's facts with `words` wherever a foreign text can stand."""
    attempt = Record(
        sequence=9, previous="sha256:" + "0" * 64, at=NOON, stack="prod", model="credit-default",
        action="promote", who=words or "ann@ferry.test", commit="3" * 40, before=a_moved(6),
        after=a_moved(7), outcome="moved", reason=words or None,
        gates=(Gate(name=words or "auc", passed=True, saw=words or 0.7, text=words),),
    )  # fmt: skip
    figure = Figure(name=words or "auc", value=0.7, low=0.6, high=0.8, mark=0.5)
    fields: dict[str, Any] = {
        "stack": "prod",
        "attempt": attempt,
        "release": a_release(),
        "figures": Figures(
            metrics=(figure,),
            champion="version 6",
            differences=words or (figure,),
            gaps=(Gap(split=words or "region", measure="odds", value=0.1, by_chance=0.2),),
            validation=words or "passed",
        ),
        "deliveries": [attempt],
        "approvals": [attempt],
        "links": {"MLflow": "http://mlflow.dev.ferry.test/#/models/m/versions/7"},
    }
    return Facts(**{**fields, **changes})


def test_figures_are_those_of_the_evidence() -> None:
    found = findings.of(some_evidence())
    assert found.metrics == (
        Figure(name="auc", value=0.78, low=0.7123, high=0.81, mark=0.5),
        Figure(name="brier", value=0.05, low=0.04, high=0.06, mark=0.05),
    )
    assert found.champion == "version 6"
    assert found.differences == (Figure(name="auc", value=0.02, low=-0.0111, high=0.05, mark=0),)
    assert found.gaps == (
        Gap(split="region", measure="demographic_parity_difference", value=0.0917,
            by_chance=0.0743),
        Gap(split="region", measure="equalized_odds_difference", value=None, by_chance=None),
    )  # fmt: skip
    assert found.validation == "passed, 95 checks"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"metrics": None}, "metrics", "no metrics.json"),
        ({"metrics": None}, "differences", "no metrics.json"),
        ({"metrics": {**METRICS, "metrics": {"auc": {"value": "x"}}}}, "metrics", "has no low"),
        ({"metrics": {**METRICS, "champion": None}}, "differences", "no earlier version"),
        (
            {"metrics": {**METRICS, "champion": {"version": 6, "incomparable": "gone"}}},
            "differences",
            "cannot be compared with: gone",
        ),
        ({"fairness": {"sensitive": []}}, "gaps", "no object"),
        ({"validation": {**VALIDATION, "success": "yes"}}, "validation", "FAILED, 95 checks"),
        ({"validation": {**VALIDATION, "sha256": "9"}}, "validation", "of other data, sha256 9"),
        ({"validation": None}, "validation", "no validation.json"),
    ],
)
def test_what_is_not_usable_says_why_instead_of_ending_the_report(
    changes: dict[str, Any], field: str, words: str
) -> None:
    assert words in getattr(findings.of(some_evidence(**changes)), field)


def test_every_figure_verdict_and_name_is_in_the_report() -> None:
    text = as_markdown(facts(figures=findings.of(some_evidence())), {"metrics.svg": b""})
    for words in (
        "# Promotion report: credit-default 6 → 7 in prod",
        "**moved**: promote by ann&#64;ferry.test, 2026-11-24 12:00:00Z, at commit 3333",
        "All 1 passed.",
        "| auc | passed | 0.7 | - |",
        "| auc | 0.7800 | 0.7123 to 0.8100 | 0.5000 |",
        "This release minus version 6",
        "+0.0200 | -0.0111 to +0.0500 |",
        "| 0.0917 | 0.0743 |",
        "too few rows",
        "passed, 95 checks",
        "![metrics](metrics.svg)",
        "[MLflow](<http://mlflow.dev.ferry.test/#/models/m/versions/7>)",
    ):
        assert words in text, words
    assert "champion.svg" not in text


def test_gates_that_failed_are_counted_before_all_else() -> None:
    gates = tuple(Gate(name=name, passed=name == "auc") for name in ("auc", "card", "data"))
    attempt = facts().attempt.model_copy(update={"gates": gates})
    text = as_markdown(facts(attempt=attempt), {})
    assert "2 of 3 failed." in text
    assert "| card | FAILED |" in text


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "| cut | the | table |\n\n# heading\n",
    "[click](javascript:alert(1)) ![x](http://evil.test/x.png)",
    "`code` **bold** _it_ ~~no~~ &lt;b&gt; http://evil.test www.evil.test",
    "</td></table><svg onload=alert(1)>",
    "\\| \\` \\<",
    "@everyone please",
    "{{7*7}} $x^2$ \u202egnp.exe\x1b[2J",
]
TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "strong", "ul", "li", "a",
    "table", "thead", "tbody", "tr", "th", "td", "img",
}  # fmt: skip
ATTRIBUTES = {"charset", "content", "http-equiv", "name", "lang", "href", "src", "alt"}


def shape(words: str) -> list[str]:
    return Page(as_html(facts(words), {})).tags


@pytest.mark.parametrize("words", HOSTILE)
def test_foreign_words_change_neither_the_shape_of_the_page_nor_where_it_leads(words: str) -> None:
    page = Page(as_html(facts(words), {}))
    assert page.tags == shape("plain")
    assert set(page.tags) <= TAGS
    assert page.attributes.keys() <= ATTRIBUTES
    assert page.attributes["href"] == {"http://mlflow.dev.ferry.test/#/models/m/versions/7"}
    shown = " ".join("".join(page.words).split())
    visible = "".join(" " if ord(c) < 32 or c == "\u202e" else c for c in words)
    assert " ".join(visible.split()) in shown.replace("\u2060", "")


@pytest.mark.parametrize("words", HOSTILE)
def test_a_viewer_that_allows_html_sees_no_more_than_words_in_the_markdown(words: str) -> None:
    def kinds(text: str) -> list[str]:
        tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
        return [
            inner.type for token in tokens.parse(text) for inner in (token, *(token.children or ()))
        ]

    found = kinds(as_markdown(facts(words), {}))
    assert found == kinds(as_markdown(facts("plain"), {}))
    assert not {"html_inline", "html_block", "image"} & set(found)


def test_the_page_allows_no_script_and_holds_its_plots() -> None:
    drawn = plots.draw(facts().figures)
    page = Page(as_html(facts(), drawn))
    policy = next(each for each in page.attributes["content"] if "default-src" in each)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert len(page.attributes["src"]) == 3
    assert all(each.startswith("data:image/svg+xml;base64,") for each in page.attributes["src"])
    assert Page(as_html(facts(), {})).attributes.get("src") is None


@pytest.mark.parametrize(
    "words", ["", "<script>alert(1)</script>", "$\\frac$ \u6f22\x00", "x" * 99]
)
def test_plots_are_drawings_without_a_foreign_word_and_always_the_same(words: str) -> None:
    figures = facts(words, figures=facts().figures).figures
    figure = Figure(name=words, value=0.7, low=0.6, high=0.8, mark=0.5)
    gap = Gap(split=words, measure=words, value=0.1, by_chance=0.2)
    drawn = [plots.intervals([figure], "x", "mark"), plots.bars([gap])]
    assert drawn == [plots.intervals([figure], "x", "mark"), plots.bars([gap])]
    for content in drawn:
        tags = {each.tag.split("}")[1] for each in ElementTree.fromstring(content).iter()}  # noqa: S314
        assert not {"script", "text", "a", "image", "foreignObject"} & tags
    assert plots.draw(figures).keys() == {"metrics.svg", "champion.svg", "fairness.svg"}


def test_there_is_no_plot_without_figures() -> None:
    none = Figures(metrics="gone", champion="", differences="gone", gaps=(), validation="")
    assert plots.draw(none) == {}
