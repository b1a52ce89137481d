"""What a rehearsal covers of the whole program on AWS, and what the page says it leaves out."""

import json
from pathlib import Path

import pytest

from lab.standins.aws.provider import _RESOURCES, ROWS
from preview.record import record
from tests.program.recorder import LIVE, PINNED, ROOT

FIDELITY = (ROOT / "docs" / "fidelity.md").read_text()


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """By type of `aws:`, every input that the program gives it anywhere."""
    folder: Path = tmp_path_factory.mktemp("stack")
    (folder / "Pulumi.live.yaml").write_text(LIVE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        seen = json.loads(json.dumps(record("live", folder, pins=PINNED), default=str))
    found: dict[str, set[str]] = {}
    for each in seen:
        if each["type"].startswith("aws:"):
            found.setdefault(each["type"], set()).update(each["props"])
    return found


def test_every_type_that_the_program_makes_is_made_or_echoed_by_one_row(
    types: dict[str, set[str]],
) -> None:
    assert len(types) > 30
    assert types.keys() <= _RESOURCES.keys() | ROWS.keys()
    assert _RESOURCES.keys() & ROWS.keys() == set()


def test_every_input_that_the_program_gives_is_covered(types: dict[str, set[str]]) -> None:
    covered = {**_RESOURCES, **ROWS}
    missed = {kind: inputs - covered[kind].inputs for kind, inputs in types.items()}
    assert {kind: inputs for kind, inputs in missed.items() if inputs} == {}


def test_no_row_is_there_for_what_nobody_makes(types: dict[str, set[str]]) -> None:
    assert ROWS.keys() - types.keys() == set()


def test_the_page_has_every_echo_and_its_reason() -> None:
    for kind, row in ROWS.items():
        told = f"| `{kind}` | {row.echo} |"
        assert (told in FIDELITY) is (row.echo is not None), kind
