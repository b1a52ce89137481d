"""Which lab: its name, number and folder, and every address that follows from them."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab import paths
from lab.errors import LabError

NUMBERS = range(1, 50)
# The host's end of the veth pair is `v-<name>`, and the kernel allows 15 characters.
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
# A Unix socket's path holds 107 bytes; the longest below a lab's folder is the kubelet's, of 40.
_LONGEST_FOLDER = 65


@dataclass(frozen=True)
class Lab:
    """One lab. Two labs with different numbers share no address."""

    name: str
    number: int
    folder: Path

    @property
    def domain(self) -> str:
        return f"{self.name}.ferry.test"

    @property
    def namespace(self) -> str:
        """Name of its network namespace, cgroup folders, CNI network and nft table."""
        return f"ferry-{self.name}"

    @property
    def link(self) -> str:
        """The host's end of the veth pair."""
        return f"v-{self.name}"

    @property
    def wire(self) -> IPv4Network:
        return IPv4Network(f"172.30.{self.number}.0/30")

    @property
    def gateway(self) -> IPv4Address:
        """The host, seen from the lab."""
        return self.wire[1]

    @property
    def address(self) -> IPv4Address:
        """The lab, seen from the host: API server, mirror and ingress answer here."""
        return self.wire[2]

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network(f"10.{100 + self.number}.0.0/16")

    @property
    def services(self) -> IPv4Network:
        return IPv4Network(f"10.{150 + self.number}.0.0/16")

    @property
    def dns(self) -> IPv4Address:
        return self.services[10]

    @property
    def ingress(self) -> IPv4Address:
        """The Ingress controller's Service."""
        return self.services[80]

    @property
    def ranges(self) -> tuple[IPv4Network, ...]:
        return (self.wire, self.pods, self.services)

    @property
    def mirror(self) -> str:
        """The image mirror, as `host:port`."""
        return f"{self.address}:5000"

    @property
    def server(self) -> str:
        return f"https://{self.address}:6443"

    @property
    def number_file(self) -> Path:
        """What makes it known; see `known`."""
        return self.folder / "number"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def runtime_socket(self) -> Path:
        return self.folder / "containerd" / "containerd.sock"

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"


def check_name(name: str) -> None:
    """Refuses a name that cannot be part of a link's or a domain's name."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f"lab name {name!r}: use 1 to 12 lower-case letters and digits, a letter first"
        )
    folder = paths.state(name)
    if len(str(folder)) > _LONGEST_FOLDER:
        raise LabError(f"{folder} is too long for Unix sockets below it; set FERRY_STATE shorter")


def known() -> dict[str, int]:
    """Name and number of every lab that has state on this machine."""
    return {
        file.parent.name: int(file.read_text())
        for file in sorted(paths.states().glob("*/number"))
        if file.read_text().strip().isdigit()
    }


def find(name: str) -> Lab | None:
    """The lab, if it was ever up."""
    check_name(name)
    number = known().get(name)
    return None if number is None else Lab(name, number, paths.state(name))


def free_number(taken: set[int], routes: list[IPv4Network]) -> int:
    """The lowest number no lab has and whose ranges overlap none of the host's `routes`."""
    for number in NUMBERS:
        ranges = Lab("any", number, Path()).ranges
        if number not in taken and not any(
            mine.overlaps(route) for mine in ranges for route in routes
        ):
            return number
    raise LabError(
        "no address range is left for another lab: purge labs that are no longer needed "
        f"(`python -m lab purge NAME`; there are {', '.join(known()) or 'none'}), "
        "or remove routes to 172.30.0.0/16 and 10.101.0.0-10.199.0.0"
    )
