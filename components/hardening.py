"""What makes a pod of ours pass the `restricted` Pod Security standard, and a bit more."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels

# Above 10000, so that it is nobody's on the node.
UID = 10001

CONTAINER: k8s.core.v1.SecurityContextArgsDict = {
    "allow_privilege_escalation": False,
    "read_only_root_filesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

# For pods that an operator makes, in the words of its kinds.
OPERATED: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "fsGroup": UID,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(service_account: pulumi.Input[str]) -> dict[str, Any]:
    """The part of a pod's spec that does not depend on what runs in it."""
    return {
        "service_account_name": service_account,
        "automount_service_account_token": False,
        # A Service called mlflow would otherwise set MLFLOW_PORT in the pods beside it.
        "enable_service_links": False,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": UID,
            "run_as_group": UID,
            "fs_group": UID,
            "fs_group_change_policy": "OnRootMismatch",
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
    }


def scratch(size: str, name: str = "tmp") -> k8s.core.v1.VolumeArgsDict:
    """A volume for the files that a process drops on its read-only root; it counts as storage."""
    return {"name": name, "empty_dir": {"size_limit": size}}


def resources(
    *, cpu: str, memory: str, cpu_limit: str, memory_limit: str, gpu: int = 0
) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Requests and limits; local storage is for scratch volumes and logs."""
    devices = {"nvidia.com/gpu": str(gpu)} if gpu else {}
    return {
        "requests": {"cpu": cpu, "memory": memory, "ephemeral-storage": "64Mi"},
        "limits": {
            "cpu": cpu_limit,
            "memory": memory_limit,
            "ephemeral-storage": "512Mi",
            **devices,
        },
    }


def service_account(
    name: str, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions, *, fixed: bool = False
) -> pulumi.Output[str]:
    """The name of an account of the workload's own, which calls no API.

    `fixed`: it is called `name`, by which a cloud gives its pods a role.
    """
    account = k8s.core.v1.ServiceAccount(
        name,
        metadata={
            "name": name if fixed else None,
            "namespace": namespace,
            "labels": labels(name),
        },
        automount_service_account_token=False,
        opts=opts,
    )
    return account.metadata["name"]
