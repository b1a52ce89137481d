"""A drift report in a real browser: it draws every column and asks no network for anything."""

import subprocess
from pathlib import Path

import pytest

from lab import toolchain
from tests.lab import browser

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
MODEL = "credit-default"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    toolchain.debian([browser.PACKAGE])
    file = tmp_path_factory.mktemp("report") / "report.html"
    subprocess.run(
        ["env", "PYTHONPATH=.", "app/.venv/bin/python", "tests/lab/drift_report.py", file, MODEL],
        cwd=ROOT, check=True,
    )  # fmt: skip
    return file


@pytest.fixture(scope="module")
def seen(report: Path) -> browser.Seen:
    return browser.look(report, height=1600)


def test_the_page_says_what_drifted(seen: browser.Seen) -> None:
    assert "Drift is detected" in seen.text
    for word in ("term", "int_rate", "score", "Not Detected", "PSI above"):
        assert word in seen.text


def test_the_page_asks_for_nothing_but_itself(seen: browser.Seen, report: Path) -> None:
    first, *others = seen.requests
    assert first == report.as_uri()
    assert [each for each in others if not each.startswith(("data:", "blob:"))] == []


def test_its_policy_stands_in_nobodys_way(seen: browser.Seen) -> None:
    assert seen.complaints == []
