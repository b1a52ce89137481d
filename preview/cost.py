"""What a stack's requests cost in a month, by a dated table of prices."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.prices import Prices

_GIB = 2**30
_UNITS = {
    "": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_RUNNING = ("Deployment", "StatefulSet", "DaemonSet")


def quantity(text: str | float) -> float:
    """A quantity of Kubernetes' in its base unit: CPUs, bytes. Raises ValueError for none."""
    found = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([kMGT]i?|Ki|m|)", str(text))
    if found is None:
        raise ValueError(f"{text!r} is no quantity")
    return float(found[1]) * _UNITS[found[2]]


def monthly(resources: Sequence[Mapping[str, Any]], prices: Prices) -> dict[str, float]:
    """What each running workload, volume and part of AWS' costs; what is asked for, not jobs.

    A workload counts with its fewest replicas: those of its autoscaler, if one is there.
    """
    fewest = _autoscaled(resources)
    costs: dict[str, float] = {}
    for each in resources:
        kind, spec = each["type"].rpartition(":")[2], each["props"].get("spec") or {}
        if kind in prices.each and not each["type"].startswith("ferry:"):
            costs[f"{kind} {_name(each)}"] = _places(each) * prices.each[kind]
        if not each["type"].startswith("kubernetes:"):
            continue
        if kind in _RUNNING:
            replicas = fewest.get((kind, _name(each)), spec.get("replicas", 1))
            costs[f"{kind} {_name(each)}"] = replicas * _pod(spec["template"]["spec"], prices)
        elif kind == "PersistentVolumeClaim":
            size = quantity(spec["resources"]["requests"]["storage"]) / _GIB
            costs[f"volume {_name(each)}"] = size * prices.volume
        elif kind == "Rollout":
            replicas = fewest.get((kind, _name(each)), 1)
            template = _template(resources, spec)
            if template:
                costs[f"{kind} {_name(each)}"] = replicas * _pod(template, prices)
    return costs


def _places(resource: Mapping[str, Any]) -> int:
    """How often a part of AWS' is charged for: an endpoint once in each zone, or never."""
    if resource["type"].endswith(":VpcEndpoint"):
        return len(resource["props"].get("subnetIds") or ())
    return 1


def _pod(spec: Mapping[str, Any], prices: Prices) -> float:
    asked = [each.get("resources", {}).get("requests", {}) for each in spec["containers"]]
    cpu = sum(quantity(each.get("cpu", 0)) for each in asked)
    memory = sum(quantity(each.get("memory", 0)) for each in asked) / _GIB
    return cpu * prices.cpu + memory * prices.memory


def _autoscaled(resources: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    found = {}
    for each in resources:
        if each["type"].endswith(":HorizontalPodAutoscaler"):
            spec = each["props"]["spec"]
            target = spec["scaleTargetRef"]
            found[target["kind"], target["name"]] = spec["minReplicas"]
    return found


def _template(
    resources: Sequence[Mapping[str, Any]], spec: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """The pods of a Rollout: those of the Deployment that it refers to."""
    wanted = spec.get("workloadRef", {}).get("name")
    for each in resources:
        if each["type"].endswith(":Deployment") and _name(each) == wanted:
            return each["props"]["spec"]["template"]["spec"]
    return None


def _name(resource: Mapping[str, Any]) -> str:
    return resource["props"].get("metadata", {}).get("name") or resource["name"]
