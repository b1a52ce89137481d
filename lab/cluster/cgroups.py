"""The cgroup folder below which a lab's pods live, in every hierarchy of the machine."""

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")
# What `cgroup v2` hands down to children only when told to.
_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")


def folders(namespace: str, mounts: Path = _MOUNTS) -> list[Path]:
    """The lab's folder in each hierarchy: of v1 one per controller, of v2 one, or both kinds."""
    fields = [line.split() for line in mounts.read_text().splitlines()]
    places = dict.fromkeys(place for _, place, kind, *_ in fields if kind in ("cgroup", "cgroup2"))
    return [Path(place) / namespace for place in places]


def ensure(namespace: str) -> None:
    """Makes the folders; a cpuset folder is of no use before it is told its CPUs."""
    for folder in folders(namespace):
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            above = folder.parent / name
            if above.exists() and not (folder / name).read_text().strip():
                (folder / name).write_text(above.read_text())
        if (subtree := folder.parent / "cgroup.subtree_control").exists():
            has = (folder.parent / "cgroup.controllers").read_text().split()
            subtree.write_text(" ".join(f"+{name}" for name in _CONTROLLERS if name in has))


def processes(namespace: str) -> set[int]:
    """The pids of everything that runs in the lab's pods."""
    found: set[int] = set()
    for folder in folders(namespace):
        for path in _below(folder):
            try:
                found.update(int(line) for line in (path / "cgroup.procs").read_text().split())
            except OSError:  # the folder went meanwhile, and with it its processes
                continue
    return found


def remove(namespace: str) -> list[Path]:
    """Removes the folders, deepest first; returns those the kernel still holds."""
    held: list[Path] = []
    for folder in folders(namespace):
        for path in _below(folder):
            try:
                path.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                held.append(path)
    return held


def _below(folder: Path) -> list[Path]:
    """The folder and all folders in it, deepest first; nothing when it does not exist."""
    return [Path(path) for path, _, _ in os.walk(folder, topdown=False)]
