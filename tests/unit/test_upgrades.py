"""The page of upgrades knows every place where a version of somebody else's stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/upgrades.md").read_text()
VERSIONS = re.compile(r'^_?(?:IMAGE|VERSION|ENGINE|SECURITY_VERSION) = "[^"]*\d\.\d', re.MULTILINE)
PLACES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "components").glob("*.py")
    if VERSIONS.search(path.read_text())
)


def test_there_are_as_many_places_as_parts() -> None:
    assert len(PLACES) >= 15


@pytest.mark.parametrize("place", PLACES)
def test_a_version_is_on_the_page(place: str) -> None:
    assert f"`{place}`" in PAGE
