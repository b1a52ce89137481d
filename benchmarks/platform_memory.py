"""Memory of everything that a stack's lab runs, by process and by pod."""

import json
import subprocess
import sys


def measure(stack: str) -> dict[str, float]:
    """MiB: of each lab process its resident set, of each pod its working set.

    Source of the latter: the metrics API of the cluster, as `kubectl top pods` reads it.
    """
    lab = json.loads(_output([sys.executable, "-m", "lab", "status", stack, "--json"]))
    found = {
        f"process {name}": float(process["memory_mb"])
        for name, process in lab.get("processes", {}).items()
    }
    lines = _output(["kubectl", "top", "pods", "--all-namespaces", "--no-headers"]).splitlines()
    for line in lines:
        _, pod, _, memory = line.split()
        found[f"pod {pod}"] = float(memory.removesuffix("Mi"))
    return found


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
