"""No secret of a stack stands where it is kept or told of; one that is put there is found."""

import functools
import json
import secrets
from collections.abc import Callable

import pytest

from app import signing
from lab import paths
from tests.lab import known_secrets
from tests.lab.clone import Clone
from tests.lab.hunting import Find, Hunter, secret_words
from tests.lab.places import PLACES, Stack
from tests.lab.planting import PLANTED
from tests.lab.whole.jobs import STACK, Jobs

pytestmark = pytest.mark.lab

_BAIT = "bait for "


@pytest.fixture(scope="module")
def stack(clone: Clone, up: str, jobs: Jobs) -> Stack:
    """The whole platform, with a model that its jobs trained again."""
    printed = up
    for job in ("ingest", "train", "batch"):
        name = f"hidden-{job}"
        assert jobs.finish(jobs.template(job, name)) == "Complete"
        printed += jobs.told(name)
    printed += clone.pulumi("up", "--yes", "--diff")
    return Stack(clone, printed)


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> set[str]:
    """Names of all that were generated."""
    return set(known_secrets.passwords(_exported(stack)))


@pytest.fixture(scope="module")
def hunter(stack: Stack) -> Hunter:
    """Looks for every secret; values are in here alone, since a test that fails shows the rest."""
    known = known_secrets.in_state(_exported(stack))
    known |= {"passphrase of the state": _passphrase(stack), **_signing_keys()}
    return Hunter(known_secrets.in_cluster(stack.kubernetes("secrets"), known) | _baited(stack))


@pytest.fixture(scope="module")
def found(hunter: Hunter, stack: Stack) -> Callable[[str], set[tuple[Find, str]]]:
    """What is found in a place, with the piece that it is in; each is looked through once."""
    return functools.cache(functools.partial(finds, hunter, stack))


def _baited(stack: Stack) -> dict[str, str]:
    """A secret for each place, put there."""
    baits = {}
    for place, (put, _) in PLANTED.items():
        # As hex it is as long as a label's value may be, and a bit shorter.
        baits[f"{_BAIT}{place}"] = bait = f"Bait{secrets.token_hex(13)}"
        put(stack, bait)
    return baits


def _exported(stack: Stack) -> dict:
    return json.loads(stack.pulumi("stack", "export", "--show-secrets"))


def _passphrase(stack: Stack) -> str:
    with open(stack.clone.environment["PULUMI_CONFIG_PASSPHRASE_FILE"]) as file:
        return file.read().strip()


def _signing_keys() -> dict[str, str]:
    """Line by line: the user's, and that of the jobs on their volume."""
    jobs = [*(paths.state(STACK) / "volumes").rglob("signing/model.key")]
    assert jobs, "the jobs made no key to sign with"
    return {
        f"{path} {line}": word
        for path in (signing.key_path(), *jobs)
        for line, word in enumerate(sorted(secret_words(path.read_text())))
    }


def finds(hunter: Hunter, stack: Stack, place: str) -> set[tuple[Find, str]]:
    """What is found in a place, with the piece that it is in."""
    pieces = 0
    found = set()
    for name, data in PLACES[place](stack):
        pieces += 1
        found |= {(find, name) for find in hunter.finds(data)}
    assert pieces, f"{place} holds nothing to look through"
    return found


def test_the_passwords_of_every_part_are_looked_for(passwords: set[str]) -> None:
    parts = ("mlflow-admin", "mlflow-csrf", "registry-login", "registry-uploads")
    stores = ("object-store-secret", "object-store-jobs-secret", "online-store-login")
    assert {f"password {name}" for name in (*parts, *stores)} <= passwords


def test_each_password_is_found_in_the_secrets_where_it_belongs(
    hunter: Hunter, stack: Stack, passwords: set[str]
) -> None:
    held = json.dumps(stack.kubernetes("secrets")).encode()
    assert passwords <= {find.secret for find in hunter.finds(held)}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_that_is_put_in_a_place_is_found_there(
    found: Callable[[str], set[tuple[Find, str]]], place: str
) -> None:
    _, encodings = PLANTED[place]
    assert {find.encoding for find, _ in found(place) if find.secret == f"{_BAIT}{place}"} == (
        encodings
    )


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_of_the_stack_stands_in_a_place(
    found: Callable[[str], set[tuple[Find, str]]], place: str
) -> None:
    assert {each for each in found(place) if not each[0].secret.startswith(_BAIT)} == set()
