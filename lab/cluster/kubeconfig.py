"""Kubeconfig files: who talks to a lab's API server, and with which certificate."""

import base64
from pathlib import Path

import yaml

from lab.cluster.identity import Lab
from lab.cluster.pki import write_private

PROVIDER = "lab.ferry.test"
# Component, and the certificate it shows.
_USERS = {
    "kubeconfig": "admin",
    "controller-manager.kubeconfig": "controller-manager",
    "scheduler.kubeconfig": "scheduler",
    "kubelet.kubeconfig": "node",
    "proxy.kubeconfig": "proxy",
}


def write(lab: Lab, pki: Path) -> None:
    """Writes one file per component and the person's own, each replaced as a whole."""
    for name, certificate in _USERS.items():
        write_private(lab.folder / name, yaml.safe_dump(_content(lab, pki, certificate)).encode())


def _content(lab: Lab, pki: Path, certificate: str) -> dict[str, object]:
    def read(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    name = lab.namespace
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": lab.server,
                    "certificate-authority-data": read("ca.crt"),
                    "extensions": [{"name": "cluster_info", "extension": {"provider": PROVIDER}}],
                },
            }
        ],
        "users": [
            {
                "name": certificate,
                "user": {
                    "client-certificate-data": read(f"{certificate}.crt"),
                    "client-key-data": read(f"{certificate}.key"),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": certificate}}],
    }


def is_lab(text: str) -> bool:
    """Whether a kubeconfig is one that a lab wrote."""
    try:
        content = yaml.safe_load(text)
        used = {entry["name"]: entry["context"]["cluster"] for entry in content["contexts"]}
        name = used[content["current-context"]]
        cluster = next(entry for entry in content["clusters"] if entry["name"] == name)
        extensions = cluster["cluster"].get("extensions", [])
        return any(entry["extension"].get("provider") == PROVIDER for entry in extensions)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, StopIteration):
        return False
