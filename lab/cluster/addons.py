"""What runs in every lab as pods: DNS, the Ingress controller, metrics, the StorageClass."""

import hashlib
import os
import socket
import struct
import subprocess
import time
from pathlib import Path
from string import Template

from lab import toolchain
from lab.cluster import api
from lab.cluster.identity import Lab
from lab.errors import LabError

DEPLOYMENTS = {"coredns", "metrics-server", "traefik"}
NAMESPACES = ("kube-system", "traefik")
_MANIFESTS = Path(__file__).parent / "manifests"
_KUSTOMIZATION = "kustomization.yaml"
_SERVER_SIDE = ("--server-side", "--force-conflicts", "--field-manager=ferry-lab")
_SECONDS = 2
_PAUSE = 0.2


def documents(lab: Lab) -> str:
    """Our own manifests with the lab's addresses filled in."""
    values = {
        "address": str(lab.address),
        "dns": str(lab.dns),
        "domain": lab.domain,
        "ingress": str(lab.ingress),
    }
    files = sorted(_MANIFESTS.glob("*.yaml"))
    return "---\n".join(Template(file.read_text()).substitute(values) for file in files)


def apply(lab: Lab) -> None:
    """Applies everything, unless this very content was applied to this cluster before."""
    if applied(lab):
        return
    _kubectl(lab, "apply", *_SERVER_SIDE, "-f", str(_routes()))
    _kubectl(lab, "apply", *_SERVER_SIDE, "-f", "-", given=documents(lab))
    folder = lab.folder / "metrics"
    folder.mkdir(exist_ok=True)
    (folder / _KUSTOMIZATION).write_text(_metrics(lab))
    _kubectl(lab, "apply", *_SERVER_SIDE, "-f", "-", given=_kubectl(lab, "kustomize", str(folder)))
    _mark(lab).write_text(_digest(lab))


def applied(lab: Lab) -> bool:
    """Whether this content was applied and its Deployments are still there."""
    mark = _mark(lab)
    if not mark.exists() or mark.read_text() != _digest(lab):
        return False
    return deployments(lab).keys() >= DEPLOYMENTS


def deployments(lab: Lab) -> dict[str, bool]:
    """Every Deployment beside the person's own, and whether it is available."""
    return {
        name: available
        for namespace in NAMESPACES
        for name, available in api.deployments(lab, namespace).items()
    }


def wait(lab: Lab, seconds: float) -> None:
    """Returns when DNS and ingress answer. LabError says what their pods complain of."""
    # A pod that once failed is tried again after minutes; a new one is tried at once.
    for namespace in NAMESPACES:
        if pods := api.stuck(lab, namespace):
            _kubectl(lab, "delete", "pod", f"--namespace={namespace}", "--now", *pods)
    limit = time.monotonic() + seconds
    while not (names_resolve(lab) and ingress_answers(lab)):
        if time.monotonic() > limit:
            complaints = [api.stuck(lab, namespace) for namespace in NAMESPACES]
            raise LabError(
                f"CoreDNS or traefik does not answer after {seconds:.0f} s; {_told(complaints)} "
                f"(`kubectl --kubeconfig={lab.kubeconfig} get pod -A`)"
            )
        time.sleep(_PAUSE)


def _told(complaints: list[dict[str, str]]) -> str:
    rows = [f"pod {name}: {text}" for found in complaints for name, text in found.items()]
    return "; ".join(rows) or "their pods do not complain"


def names_resolve(lab: Lab) -> bool:
    """Whether the cluster's DNS answers for the lab's domain, seen from the host."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in lab.domain.split("."))
    query = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(_SECONDS / 4)
        try:
            line.sendto(query, (str(lab.dns), 53))
            return line.recv(512).endswith(lab.ingress.packed)
        except OSError:
            return False


def ingress_answers(lab: Lab) -> bool:
    """Whether the Ingress controller answers HTTP on the lab's address."""
    try:
        with socket.create_connection((str(lab.address), 80), timeout=_SECONDS) as line:
            line.settimeout(_SECONDS)
            line.sendall(b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n")
            return line.recv(8) == b"HTTP/1.0"
    except OSError:
        return False


def _mark(lab: Lab) -> Path:
    return lab.folder / "addons"


def _digest(lab: Lab) -> str:
    parts = f"{documents(lab)}{_metrics(lab)}{_routes().read_text()}"
    return hashlib.sha256(parts.encode()).hexdigest()


def _routes() -> Path:
    """Traefik's own kinds, by which a router's weights can be moved."""
    folder = toolchain.module("traefik") / "docs/content/reference/dynamic-configuration"
    return folder / "kubernetes-crd-definition-v1.yml"


def _metrics(lab: Lab) -> str:
    """The kustomization of metrics-server, as it stands in the lab's folder `metrics`."""
    base = toolchain.module("metrics-server") / "manifests" / "base"
    # kustomize takes another folder by relative path alone.
    relative = os.path.relpath(base, lab.folder / "metrics")
    return Template((_MANIFESTS / "metrics" / _KUSTOMIZATION).read_text()).substitute(base=relative)


def _kubectl(lab: Lab, *arguments: str, given: str = "") -> str:
    command = [str(toolchain.binary("kubectl")), f"--kubeconfig={lab.kubeconfig}", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout
