"""Ends and removes what a lab has on the machine, and only that; its data stay."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lab.cluster import cgroups, hosts, network
from lab.cluster.identity import Lab
from lab.cluster.processes import Processes, end, identify
from lab.errors import LabError

_MOUNTS = Path("/proc/self/mountinfo")
_POD_SECONDS = 5
# Fixed paths of the kubelet and of the CNI library, which every cluster on the machine shares.
_POD_LOG_LINKS = Path("/var/log/containers")
_NETWORK_RESULTS = Path("/var/lib/cni/results")


def stop(lab: Lab) -> None:
    """Ends the lab's processes and removes its mounts, network, cgroups and host names.

    Works on whatever is left, in any state; LabError names what could not be removed.
    """
    network.refuse_namesake(lab)
    processes = Processes(lab.folder, lab.namespace)
    # First those that would start a pod again, then the pods, then what the pods need.
    processes.stop(("attendant", "kubelet", "scheduler", "controller-manager"))
    _end_pods(lab)
    processes.stop(("apiserver", "proxy", "mirror"))
    processes.stop(("etcd", "containerd"))
    processes.end_marked()
    _unmount(lab.folder)
    _refuse_mounts(lab.folder)
    shutil.rmtree(lab.folder / "containerd" / "state", ignore_errors=True)
    shutil.rmtree(lab.folder / "run", ignore_errors=True)
    hosts.write(lab.name, {})
    network.remove(lab)
    if held := _remove_cgroups(lab):
        raise LabError(f"the kernel still holds {held[0]}; `python -m lab down {lab.name}` again")
    _remove_traces(lab)


def erase(lab: Lab) -> None:
    """Deletes the lab's folder with all data, last what makes it known: killed, it goes on."""
    _refuse_mounts(lab.folder)
    for path in lab.folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != lab.number_file:
            path.unlink()
    shutil.rmtree(lab.folder)


def _end_pods(lab: Lab) -> None:
    """SIGTERM to each container's first process, as the kubelet does, then SIGKILL to the rest."""
    running = [identity for pid in cgroups.processes(lab.namespace) if (identity := identify(pid))]
    end([one for one in running if _is_first(one.pid)], _POD_SECONDS)
    # A signal to the rest ends what a fork bomb or a lost parent left.
    rest = [identity for pid in cgroups.processes(lab.namespace) if (identity := identify(pid))]
    end(rest, 0)


def _is_first(pid: int) -> bool:
    """Whether the process is the first of its own pid namespace."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def _sandboxes(lab: Lab) -> list[str]:
    """The ids of all sandboxes the lab's containerd knows, running or not."""
    folder = lab.folder / "containerd" / "root" / "io.containerd.grpc.v1.cri" / "sandboxes"
    return [sandbox.name for sandbox in folder.glob("*")]


def shim_socket(lab: Lab, sandbox: str) -> Path:
    """Where containerd puts the socket of a sandbox's shim: a folder all containerds share."""
    name = f"{lab.runtime_socket}/k8s.io/{sandbox}"
    return Path("/run/containerd/s") / hashlib.sha256(name.encode()).hexdigest()


def mounts(folder: Path) -> Iterator[Path]:
    """Everything mounted below `folder`, the latest first."""
    lines = _MOUNTS.read_text().splitlines()
    places = (Path(line.split()[4].encode().decode("unicode_escape")) for line in lines)
    return reversed([place for place in places if place.is_relative_to(folder)])


def _unmount(folder: Path) -> None:
    for place in mounts(folder):
        done = subprocess.run(["umount", str(place)], capture_output=True, check=False)
        if done.returncode:
            # Something still holds it; without a name it goes when the last holder does.
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def _refuse_mounts(folder: Path) -> None:
    """Deleting through a mount would delete what is mounted there."""
    if left := list(mounts(folder)):
        raise LabError(f"{left[0]} is still mounted; `umount {left[0]}`, then `down` again")


def _remove_cgroups(lab: Lab) -> list[Path]:
    """A cgroup stays for a moment after its last process."""
    limit = time.monotonic() + 5
    while (held := cgroups.remove(lab.namespace)) and time.monotonic() < limit:
        time.sleep(0.05)
    return held


def _remove_traces(lab: Lab) -> None:
    for link in _POD_LOG_LINKS.glob("*.log"):
        if link.is_symlink() and Path(os.readlink(link)).is_relative_to(lab.folder):
            link.unlink()
    with suppress(OSError):  # others' links
        _POD_LOG_LINKS.rmdir()
    own = []
    for sandbox in _sandboxes(lab):
        # A shim that was killed leaves its socket behind.
        shim_socket(lab, sandbox).unlink(missing_ok=True)
        # The loopback network has the same name in every cluster.
        own.append(f"cni-loopback-{sandbox}-*")
    for pattern in (f"{lab.namespace}-*", *own):
        for result in _NETWORK_RESULTS.glob(pattern):
            result.unlink()
