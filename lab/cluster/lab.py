"""Brings a lab up and down: the order of its parts, each made only where it is missing."""

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from lab import images, paths, toolchain
from lab.cluster import (
    addons,
    api,
    cgroups,
    cleanup,
    control_plane,
    external,
    kubeconfig,
    mirror,
    network,
    node,
    pki,
    runtime,
)
from lab.cluster.identity import Lab, check_name, find, free_number, known
from lab.cluster.processes import Part, Processes
from lab.cluster.progress import Progress
from lab.errors import LabError
from lab.lock import alone

PARTS = (
    "mirror",
    "etcd",
    "apiserver",
    "controller-manager",
    "scheduler",
    "containerd",
    "kubelet",
    "proxy",
    "attendant",
)
_TOOLS = ("kubernetes", "etcd", "cni", "registry", "metrics-server")
_FREE_BYTES = 2 * 10**9
# Generous: every one of them takes a second or two on an idle machine.
_PATIENCE = 120.0
_HUNG = 10.0


def up(name: str, progress: Progress) -> None:
    """Brings the lab up, from whatever state it is in; a lab that is up stays as it is."""
    check_name(name)
    if own := external.chosen():
        paths.states().mkdir(parents=True, exist_ok=True)
        external_file(name).write_text(f"{own}\n")
        progress.say(f"using the cluster of KUBECONFIG={own}; lab {name} starts none of its own")
        return
    if os.geteuid() != 0:
        raise LabError("a lab needs root: network namespaces, mounts and cgroups are its parts")
    toolchain.debian()
    toolchain.ensure(_TOOLS)
    with alone(lock_file(name), progress.say):
        try:
            lab = _enter(name)
        except OSError:
            _refuse_without_room(paths.states())
            raise
        network.refuse_namesake(lab)
        if _is_up(lab):
            progress.say(f"lab {name} is up at {lab.address}")
            return
        _refuse_full_disk(lab)
        _start(lab, progress)


def down(name: str, progress: Progress) -> None:
    """Ends the lab and removes what it had on the machine; its data stay for the next `up`."""
    check_name(name)
    with alone(lock_file(name), progress.say):
        external_file(name).unlink(missing_ok=True)
        if (lab := find(name)) is None:
            progress.say(f"there is no lab {name}")
            return
        with progress.part(f"lab {name} down"):
            cleanup.stop(lab)


def purge(name: str, progress: Progress) -> None:
    """`down`, and the lab's data are deleted."""
    down(name, progress)
    with alone(lock_file(name), progress.say):
        if lab := find(name):
            cleanup.erase(lab)
            progress.say(f"{lab.folder} deleted")
        (paths.engines() / f"{name}.json").unlink(missing_ok=True)
        lock_file(name).unlink()


def lock_file(name: str) -> Path:
    return paths.states() / f"{name}.lock"


def external_file(name: str) -> Path:
    """Holds the path of the person's own kubeconfig while the lab uses it."""
    return paths.states() / f"{name}.external"


def _enter(name: str) -> Lab:
    """The lab, with a number and a folder of its own from its first `up` on."""
    external_file(name).unlink(missing_ok=True)
    with alone(paths.states() / "numbers.lock", lambda _: None):
        lab = find(name)
        if lab is None:
            number = free_number(set(known().values()), network.host_routes())
            lab = Lab(name, number, paths.state(name))
            lab.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lab.number_file.write_text(f"{number}\n")
    kubeconfig.write(lab, pki.ensure(lab))
    return lab


def _is_up(lab: Lab) -> bool:
    processes = Processes(lab.folder, lab.namespace)
    return (
        network.exists(lab)
        and all(processes.alive(name) for name in PARTS)
        and addons.applied(lab)
        and api.ready(lab)
        and api.ready_since(lab, "")
        and addons.names_resolve(lab)
        and addons.ingress_answers(lab)
    )


def _refuse_full_disk(lab: Lab) -> None:
    for place in (lab.folder, paths.cache()):
        _refuse_without_room(place)


def _refuse_without_room(place: Path) -> None:
    free = shutil.disk_usage(place).free
    if free < _FREE_BYTES:
        raise LabError(
            f"{place} has {free / 10**9:.1f} GB free, and a lab needs {_FREE_BYTES / 10**9:.0f}"
            " GB: purge labs that are no longer needed (`python -m lab purge NAME`), or let"
            " FERRY_STATE and FERRY_CACHE name folders on a larger disk"
        )


def _start(lab: Lab, progress: Progress) -> None:
    processes = Processes(lab.folder, lab.namespace)
    if not network.exists(lab):
        # Without it, whatever is left of the lab is what a crash or a reboot spared.
        cleanup.stop(lab)
    keys = lab.folder / "pki"
    with progress.part("network and configuration"):
        network.ensure(lab)
        cgroups.ensure(lab.namespace)
        mtu = network.mtu()
        runtime.configure(lab, mtu)
        node.configure(lab, keys)
        lab.volumes.mkdir(exist_ok=True)
    with progress.part("image mirror, etcd, containerd"):
        processes.start(mirror.registry(lab))
        processes.start(control_plane.etcd(lab, keys))
        processes.start(runtime.containerd(lab))
        _wait_port(processes, "etcd", 2379)
    with progress.part("API server"):
        if processes.alive("apiserver") and not api.ready_within(lab, _HUNG):
            processes.stop(["apiserver"], seconds=1)
        processes.start(control_plane.apiserver(lab, keys))
        processes.wait("apiserver", "the API server", lambda: api.ready(lab), _PATIENCE)
    began = datetime.now(UTC).replace(microsecond=0)
    fresh = processes.alive("kubelet") is None
    with progress.part("controllers and node"):
        processes.wait("containerd", "containerd", lambda: runtime.answers(lab), _PATIENCE)
        for part in (
            node.kubelet(lab),
            node.proxy(lab),
            control_plane.controller_manager(lab, keys),
            control_plane.scheduler(lab),
            attendant(lab),
        ):
            processes.start(part)
        _wait_port(processes, "mirror", 5000)
    with progress.part("images"):
        images.ensure(lab.mirror, progress.say)
    with progress.part("add-ons applied"):
        addons.apply(lab)
    with progress.part("node ready"):
        # What the node said before this start is history.
        since = f"{began:%Y-%m-%dT%H:%M:%SZ}" if fresh else ""
        processes.wait("kubelet", "the node", lambda: api.ready_since(lab, since), _PATIENCE)
    with progress.part("names and ingress answer"):
        addons.wait(lab, _PATIENCE)
    progress.say(f"lab {lab.name} is up at {lab.address} after {progress.seconds:.1f} s")


def attendant(lab: Lab) -> Part:
    """The process of `attendant.py`, which is not imported here: it loads a client library."""
    environment = {
        "PYTHONPATH": str(paths.repository()),
        "FERRY_STATE": str(paths.states().parent),
    }
    command = [sys.executable, "-m", "lab.cluster.attendant", lab.name]
    return Part("attendant", command, environment)


def _wait_port(processes: Processes, name: str, port: int) -> None:
    processes.wait(name, name, lambda: processes.listens(name, port), _PATIENCE)
