"""A model's card in a real browser: it shows everything, asks for nothing and runs nothing."""

import subprocess
from pathlib import Path

import pytest

from lab import toolchain
from tests.lab import browser

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
MODEL = "credit-default"
HOSTILE = "<script>alert(1)</script><img src=http://127.0.0.1:1/x.png onerror=alert(2)>"


@pytest.fixture(scope="module", autouse=True)
def chromium() -> None:
    toolchain.debian([browser.PACKAGE])


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of a model that somebody gave a hostile limit."""
    file = tmp_path_factory.mktemp("card") / "card.html"
    subprocess.run(
        ["env", "PYTHONPATH=.", "app/.venv/bin/python", "tests/lab/card.py", file, MODEL, HOSTILE],
        cwd=ROOT, check=True,
    )  # fmt: skip
    return file


@pytest.fixture(scope="module")
def seen(card: Path) -> browser.Seen:
    return browser.look(card)


def test_all_plots_are_shown(seen: browser.Seen) -> None:
    assert len(seen.images) == 4
    assert all(width > 300 and height > 200 for width, height in seen.images)


def test_the_page_asks_for_nothing_but_itself(seen: browser.Seen, card: Path) -> None:
    first, *others = seen.requests
    assert first == card.as_uri()
    assert all(address.startswith("data:image/png;base64,") for address in others)


def test_the_console_stays_empty_and_nothing_runs(seen: browser.Seen) -> None:
    assert seen.complaints == []


def test_a_hostile_limit_is_read_as_it_was_written(seen: browser.Seen) -> None:
    assert f"Model card: {MODEL}" in seen.text
    assert HOSTILE in seen.text


def test_a_page_that_does_more_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        f"<p>here</p>{HOSTILE}<script>console.log('told'); null.x</script>"
        "<link rel=stylesheet href=http://127.0.0.1:1/x.css>"
    )
    seen = browser.look(file)
    assert {"http://127.0.0.1:1/x.png", "http://127.0.0.1:1/x.css"} <= set(seen.requests)
    assert {"dialog: 1", "dialog: 2"} <= set(seen.complaints)
    assert any("told" in each for each in seen.complaints)
    assert any("Uncaught" in each for each in seen.complaints)
    assert seen.images == [[0, 0]]
