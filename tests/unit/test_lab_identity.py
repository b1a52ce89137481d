"""Names, numbers and addresses of labs."""

import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cluster import identity
from lab.cluster.identity import NUMBERS, Lab
from lab.errors import LabError


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Not pytest's own folder, whose path is too long for sockets below it.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr("lab.paths.states", lambda: Path(folder))
        yield Path(folder)


def test_no_two_labs_share_an_address() -> None:
    ranges = [r for number in NUMBERS for r in Lab("any", number, Path()).ranges]
    assert len(ranges) == 3 * len(NUMBERS)
    assert not [pair for pair in combinations(ranges, 2) if pair[0].overlaps(pair[1])]


def test_the_addresses_of_lab_one() -> None:
    lab = Lab("dev", 1, Path("/s/dev"))
    assert (str(lab.gateway), str(lab.address)) == ("172.30.1.1", "172.30.1.2")
    assert (str(lab.pods), str(lab.services)) == ("10.101.0.0/16", "10.151.0.0/16")
    assert (str(lab.dns), str(lab.ingress)) == ("10.151.0.10", "10.151.0.80")
    assert (lab.domain, lab.mirror) == ("dev.ferry.test", "172.30.1.2:5000")
    assert lab.server == "https://172.30.1.2:6443"


@pytest.mark.parametrize("name", ["", "Dev", "1a", "a-b", "a.b", "a/b", "..", "a" * 13, "dev\n"])
def test_a_name_that_is_no_part_of_a_link_name_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="lower-case letters and digits"):
        identity.check_name(name)


@given(st.from_regex(r"[a-z][a-z0-9]{0,11}", fullmatch=True))
def test_every_allowed_name_fits_into_a_link_name(name: str) -> None:
    assert len(Lab(name, 1, Path()).link) <= 15


def test_a_folder_too_long_for_sockets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.paths.states", lambda: Path("/" + "x" * 80))
    with pytest.raises(LabError, match="FERRY_STATE"):
        identity.check_name("dev")


def test_the_lowest_free_number_is_given() -> None:
    assert identity.free_number(set(), []) == 1
    assert identity.free_number({1, 2, 4}, []) == 3


@pytest.mark.parametrize("route", ["172.30.1.0/24", "10.101.0.0/16", "10.151.7.0/24"])
def test_a_number_whose_addresses_the_host_routes_elsewhere_is_passed_over(route: str) -> None:
    assert identity.free_number(set(), [IPv4Network(route)]) == 2


def test_without_a_free_number_the_error_says_what_to_do() -> None:
    with pytest.raises(LabError, match="purge"):
        identity.free_number(set(), [IPv4Network("10.0.0.0/8")])


def test_a_lab_is_known_by_its_number_file(state: Path) -> None:
    for name, text in (("dev", "3\n"), ("broken", ""), ("half", "x")):
        (state / name).mkdir()
        (state / name / "number").write_text(text)
    (state / "empty").mkdir()
    assert identity.known() == {"dev": 3}
    assert identity.find("dev") == Lab("dev", 3, state / "dev")
    assert identity.find("empty") is None
