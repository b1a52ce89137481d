"""What a lab is doing: its processes, its node, its add-ons, its memory."""

import os
from pathlib import Path
from typing import Any

from lab.cluster import addons, api, cgroups
from lab.cluster.identity import Lab, check_name, find
from lab.cluster.lab import PARTS, external_file
from lab.cluster.processes import Processes

_PAGE = os.sysconf("SC_PAGE_SIZE")


def status(name: str) -> dict[str, Any]:
    """The lab's state (`absent`, `stopped`, `partial`, `running`, `external`) and its parts.

    Memory is in MB: resident per process, and what the pods hold together without file cache.
    """
    check_name(name)
    if external_file(name).exists():
        kubeconfig = external_file(name).read_text().strip()
        return {"name": name, "state": "external", "kubeconfig": kubeconfig}
    lab = find(name)
    if lab is None:
        return {"name": name, "state": "absent"}
    processes = Processes(lab.folder, lab.namespace)
    pids = {part: processes.alive(part) for part in PARTS}
    serving = api.ready(lab) if pids["apiserver"] else False
    node = serving and api.ready_since(lab, "")
    there = addons.deployments(lab) if serving else {}
    available = {name: there.get(name, False) for name in sorted(addons.DEPLOYMENTS)}
    return {
        "name": name,
        "state": _state(pids, node and all(available.values())),
        "address": str(lab.address),
        "domain": lab.domain,
        "mirror": lab.mirror,
        "kubeconfig": str(lab.kubeconfig),
        "folder": str(lab.folder),
        "node_ready": node,
        "addons": available,
        "processes": {
            part: {"pid": pid, "memory_mb": _resident(pid), "log": str(processes.log(part))}
            for part, pid in pids.items()
        },
        "pods_memory_mb": _pods_memory(lab),
    }


def _state(pids: dict[str, int | None], serving: bool) -> str:
    if not any(pids.values()):
        return "stopped"
    return "running" if all(pids.values()) and serving else "partial"


def _resident(pid: int | None) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE // 10**6
    except OSError:
        return 0


def _pods_memory(lab: Lab) -> int:
    for folder in cgroups.folders(lab.namespace):
        if (file := folder / "memory.stat").exists():
            values = dict(line.split() for line in file.read_text().splitlines())
            return int(values.get("total_rss") or values.get("anon", 0)) // 10**6
    return 0
