"""One whole stack, brought up once by `make up`: the files beside this one use it in turn.

Each leaves it as it was found; the last, in the order of their names, takes it down.
"""

import json
from collections.abc import Iterator

import pytest

from tests.lab.clone import Clone, cloned, purged
from tests.lab.whole.jobs import MODEL, STACK, Jobs

PEOPLE = {"ada": "data-scientist", "alan": "auditor", "grace": "engineer"}


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    made = cloned(tmp_path_factory.mktemp("whole") / "ferry", STACK, MODEL)
    named = f"    people: {json.dumps(PEOPLE)}\n"
    made.file.write_text(made.file.read_text().replace("    models:\n", f"{named}    models:\n"))
    made.run("git", "commit", "--quiet", "--all", "--amend", "--no-edit")
    made.borrow_libraries()
    with purged(made):
        yield made


@pytest.fixture(scope="session")
def up(clone: Clone) -> str:
    """What the first `make up` printed; everything below stands on it."""
    printed = clone.make("up")
    clone.enter()
    return printed


@pytest.fixture(scope="session")
def jobs(clone: Clone, up: str) -> Jobs:
    return Jobs(clone)
