"""The page of threats names nothing that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/threats.md").read_text()
CODE = re.findall(r"`([^`\n]+)`( \(trial\))?", PAGE)
TESTS = {
    name: path
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
}
NAMED = sorted({(name, bool(trial)) for name, trial in CODE if name.startswith("test_")})


@pytest.mark.parametrize(("name", "trial"), NAMED)
def test_a_test_that_is_named_as_evidence_is_there_and_a_trial_says_so(
    name: str, trial: bool
) -> None:
    assert name in TESTS
    assert trial is ("pytest.mark.trial" in TESTS[name].read_text())


def test_the_page_has_evidence_for_what_it_says_and_says_what_is_open() -> None:
    lines = [line for line in PAGE.splitlines() if re.match(r"\| [STRIDE]+ \|", line)]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert len(rows) >= 30
    for _, threat, against, shown, left in rows:
        # What nothing stands against is said to be open.
        assert "test_" in shown if against else left.lstrip("*").startswith("Open: "), threat
    assert {*"".join(letters for letters, *_ in rows)} == {*"STRIDE"}


def test_every_control_that_is_named_is_one() -> None:
    page = (ROOT / "docs/controls.md").read_text()
    known = {*re.findall(r"^\| (\d+[a-e]?) \|", page, re.MULTILINE)}
    named = {
        number
        for group in re.findall(r" \(((?:\d\d?[a-e]?(?:, | to )?)+)\)", PAGE)
        for number in re.findall(r"\d+[a-e]?", group)
    }
    assert len(named) > 20
    # Those of MLflow, of images and of the state are no rules: tests of the program hold them.
    assert named - known <= {"58", "59", "61", "62", "63", "64"}
