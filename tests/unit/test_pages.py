"""No page names a file that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "app/README.md", *(ROOT / "docs").rglob("*.md")])
NAMED = [
    (str(page.relative_to(ROOT)), name)
    for page in PAGES
    for name in sorted({*re.findall(r"`([.\w-]+(?:/[.\w-]+)+\.[a-z]+)`", page.read_text())})
]
TO_BE_MADE = {
    ("docs/second-model.md", "app/expectations/suites/hmda.json"),
    ("docs/second-model.md", "app/models/mortgage_denial.py"),
}


def test_pages_name_files() -> None:
    assert len(NAMED) > 150
    assert {*NAMED} >= TO_BE_MADE


@pytest.mark.parametrize(("page", "name"), [each for each in NAMED if each not in TO_BE_MADE])
def test_a_file_that_is_named_is_there(page: str, name: str) -> None:
    assert (ROOT / name).is_file()
