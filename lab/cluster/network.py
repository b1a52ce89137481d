"""A lab's network: a namespace, a wire to the host, routes to its pods and Services, and NAT."""

import json
import os
import subprocess
from ipaddress import IPv4Network
from pathlib import Path

from lab.cluster.identity import Lab
from lab.errors import LabError

_DEFAULT_MTU = 1500


def exists(lab: Lab) -> bool:
    """Whether the lab's network namespace is there (a plain file is what a crash leaves)."""
    return os.path.ismount(_place(lab))


def refuse_namesake(lab: Lab) -> None:
    """LabError when a lab of this name, kept in another folder, holds the name's network."""
    try:
        owner = _alias(lab).read_text().strip()
    except FileNotFoundError:
        return
    if owner and owner != str(lab.folder):
        raise LabError(
            f"a lab {lab.name} is up already, and {owner} holds it: `FERRY_STATE="
            f"{Path(owner).parents[1]} python -m lab down {lab.name}`, or take another name"
        )


def ensure(lab: Lab) -> None:
    """Makes what is missing; what is there already stays as it is."""
    refuse_namesake(lab)
    _refuse_foreign_routes(lab)
    if not exists(lab):
        _place(lab).unlink(missing_ok=True)
        _run(["ip", "netns", "add", lab.namespace])
    if not Path(f"/sys/class/net/{lab.link}").exists():
        _run(
            f"ip link add {lab.link} mtu {mtu()} type veth "
            f"peer name eth0 mtu {mtu()} netns {lab.namespace}".split()
        )
    _run(
        ["ip", "-batch", "-"],
        f"addr replace {lab.gateway}/{lab.wire.prefixlen} dev {lab.link}\nlink set {lab.link} up\n"
        f"link set {lab.link} alias {lab.folder}\n",
    )
    _run(
        ["ip", "-netns", lab.namespace, "-batch", "-"],
        "link set lo up\n"
        f"addr replace {lab.address}/{lab.wire.prefixlen} dev eth0\n"
        "link set eth0 up\n"
        f"route replace default via {lab.gateway}\n",
    )
    _run(
        ["ip", "-batch", "-"],
        "".join(
            f"route replace {network} via {lab.address}\n" for network in (lab.pods, lab.services)
        ),
    )
    inside = ["nsenter", f"--net={_place(lab)}", "tee", "/proc/sys/net/ipv4/ip_forward"]
    _run(inside, "1\n")
    _reach_outside(lab)


def remove(lab: Lab) -> None:
    """Removes the namespace and with it the wire and the routes; nothing of it may run by then."""
    subprocess.run(["nft", "delete", "table", "ip", _table(lab)], capture_output=True, check=False)
    subprocess.run(["ip", "link", "delete", lab.link], capture_output=True, check=False)
    if exists(lab):
        _run(["ip", "netns", "delete", lab.namespace])
    _place(lab).unlink(missing_ok=True)
    if (device := _outside()) and not list(_place(lab).parent.glob("ferry-*")):
        # The last lab is gone, and the device does again as the machine as a whole does.
        _forwarding(device).write_text(Path("/proc/sys/net/ipv4/ip_forward").read_text())


def host_routes() -> list[IPv4Network]:
    """Every range the host reaches otherwise than by its default route."""
    return [IPv4Network(route["dst"]) for route in _routes() if route["dst"] != "default"]


def mtu() -> int:
    """The MTU of the interface that leads outside: a larger one inside would lose packets."""
    device = _outside()
    if device is None:
        return _DEFAULT_MTU
    return min(_DEFAULT_MTU, int(Path(f"/sys/class/net/{device}/mtu").read_text()))


def _refuse_foreign_routes(lab: Lab) -> None:
    for route in _routes():
        if route["dst"] == "default" or route.get("dev") == lab.link:
            continue
        if any(mine.overlaps(IPv4Network(route["dst"])) for mine in lab.ranges):
            raise LabError(
                f"the host's {_noun(route)} {route['dst']} (device {route.get('dev')}) covers "
                f"addresses of lab {lab.name}; remove it, or take other addresses with "
                f"`python -m lab purge {lab.name}` (this deletes the lab's data)"
            )


def _reach_outside(lab: Lab) -> None:
    """Lets pods and builds reach what the host reaches; a lab works without it."""
    device = _outside()
    if device is None:
        return
    for name in (lab.link, device):
        _forwarding(name).write_text("1\n")
    table = _table(lab)
    # Adding before deleting: the deletion must not fail when there was no table.
    rules = f"""
        add table ip {table}
        delete table ip {table}
        table ip {table} {{
            chain out {{
                type nat hook postrouting priority srcnat
                ip saddr {lab.wire} oifname "{device}" masquerade
            }}
        }}
    """
    _run(["nft", "-f", "-"], rules)


def _alias(lab: Lab) -> Path:
    """Where the kernel keeps a note on the wire: the folder of the lab it belongs to."""
    return Path(f"/sys/class/net/{lab.link}/ifalias")


def _forwarding(device: str) -> Path:
    return Path(f"/proc/sys/net/ipv4/conf/{device}/forwarding")


def _outside() -> str | None:
    return next((r.get("dev") for r in _routes() if r["dst"] == "default"), None)


def _routes() -> list[dict[str, str]]:
    """The host's routes, and its own addresses: a /32 stands in no other table."""
    tables = ("main", "local")
    shown = [_run(["ip", "-json", "-4", "route", "show", "table", table]) for table in tables]
    return [route for text in shown for route in json.loads(text)]


def _noun(route: dict[str, str]) -> str:
    return "address" if route.get("type") == "local" else "route to"


def _place(lab: Lab) -> Path:
    return Path("/run/netns") / lab.namespace


def _table(lab: Lab) -> str:
    return lab.namespace.replace("-", "_")


def _run(command: list[str], given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout
