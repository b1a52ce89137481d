"""Which routes of the host stand in a lab's way, and what the labs' own network is made of."""

from pathlib import Path

import pytest

from lab.cluster import network
from lab.cluster.identity import Lab
from lab.errors import LabError

# No lab of this machine can have this name: what is up here must not matter.
LAB = Lab("not-here", 1, Path("/s/not-here"))
DEFAULT = {"dst": "default", "dev": "lo"}


def _routes(monkeypatch: pytest.MonkeyPatch, *rows: dict[str, str]) -> list[str]:
    """The host has these routes and no others; returns what is run on it, and runs nothing."""
    ran: list[str] = []

    def run(command: list[str], given: str = "") -> str:
        ran.append(f"{' '.join(command)}\n{given}")
        return ""

    monkeypatch.setattr(network, "_routes", lambda: list(rows))
    monkeypatch.setattr(network, "_run", run)
    monkeypatch.setattr(network, "_forwarding", lambda _: Path("/dev/null"))
    return ran


@pytest.mark.parametrize("range_", ["172.30.0.0/16", "10.101.4.0/24", "10.0.0.0/8"])
def test_a_foreign_route_over_the_labs_addresses_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, range_: str
) -> None:
    ran = _routes(monkeypatch, DEFAULT, {"dst": range_, "dev": "tun0"})
    with pytest.raises(LabError, match=rf"{range_} \(device tun0\).*purge not-here"):
        network.ensure(LAB)
    assert ran == []


def test_the_labs_own_routes_are_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"dst": "10.101.0.0/16", "dev": LAB.link}
    ran = _routes(monkeypatch, DEFAULT, own, {"dst": "192.168.0.0/16", "dev": "eth0"})
    network.ensure(LAB)
    script = "".join(ran)
    assert "ip netns add ferry-not-here" in script
    assert "route replace 10.101.0.0/16 via 172.30.1.2" in script
    assert "route replace 10.151.0.0/16 via 172.30.1.2" in script
    assert 'ip saddr 172.30.1.0/30 oifname "lo" masquerade' in script


def test_a_host_without_a_way_outside_gives_the_lab_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = _routes(monkeypatch)
    network.ensure(LAB)
    assert "masquerade" not in "".join(ran)
    assert network.mtu() == 1500


def test_host_routes_are_all_but_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    _routes(monkeypatch, DEFAULT, {"dst": "10.1.0.0/16"}, {"dst": "192.0.2.7"})
    assert [str(route) for route in network.host_routes()] == ["10.1.0.0/16", "192.0.2.7/32"]


def test_a_namesake_kept_elsewhere_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = _routes(monkeypatch, DEFAULT)
    note = tmp_path / "ifalias"
    monkeypatch.setattr(network, "_alias", lambda _: note)
    for text in ("/s/not-here\n", "\n"):
        note.write_text(text)
        network.refuse_namesake(LAB)
    note.write_text("/other/ferry/labs/not-here\n")
    with pytest.raises(LabError, match="FERRY_STATE=/other/ferry python -m lab down not-here"):
        network.ensure(LAB)
    assert ran == []
