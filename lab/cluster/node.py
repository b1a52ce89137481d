"""The node's command lines and configuration: kubelet and kube-proxy."""

from pathlib import Path

import yaml

from lab import toolchain
from lab.cluster.identity import Lab
from lab.cluster.processes import Part

# systemd-resolved's own list of servers; the usual file names a stub on the host's loopback.
_STUBLESS = Path("/run/systemd/resolve/resolv.conf")


def kubelet(lab: Lab) -> Part:
    return Part(
        "kubelet",
        [
            str(toolchain.binary("kubelet")),
            f"--config={lab.folder / 'kubelet.yaml'}",
            f"--kubeconfig={lab.folder / 'kubelet.kubeconfig'}",
            f"--hostname-override={lab.name}",
            f"--node-ip={lab.address}",
            f"--root-dir={lab.folder / 'kubelet'}",
        ],
    )


def proxy(lab: Lab) -> Part:
    return Part(
        "proxy",
        [
            str(toolchain.binary("kube-proxy")),
            f"--kubeconfig={lab.folder / 'proxy.kubeconfig'}",
            f"--hostname-override={lab.name}",
            f"--cluster-cidr={lab.pods}",
            # What every kernel has; IPVS is missing on many.
            "--proxy-mode=iptables",
            # The table of connections belongs to the machine, not to the lab.
            "--conntrack-max-per-core=0",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
        ],
    )


def configure(lab: Lab, pki: Path) -> None:
    """Writes the kubelet's configuration."""
    text = yaml.safe_dump(kubelet_configuration(lab, pki), sort_keys=False)
    (lab.folder / "kubelet.yaml").write_text(text)
    (lab.folder / "kubelet").mkdir(exist_ok=True)


def kubelet_configuration(lab: Lab, pki: Path) -> dict[str, object]:
    """A KubeletConfiguration: every folder below the lab's own, every cgroup below its own."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "node.crt"),
        "tlsPrivateKeyFile": str(pki / "node.key"),
        "containerRuntimeEndpoint": f"unix://{lab.runtime_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{lab.namespace}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "podLogsDir": str(lab.folder / "logs" / "pods"),
        "volumePluginDir": str(lab.folder / "kubelet" / "plugins"),
        "clusterDNS": [str(lab.dns)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(_STUBLESS if _STUBLESS.exists() else "/etc/resolv.conf"),
        # The machine's disk is shared with everything else on it: only a really full one counts.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        # Pods start one after another otherwise, and a lab's images are at hand.
        "serializeImagePulls": False,
        "enableControllerAttachDetach": True,
    }
