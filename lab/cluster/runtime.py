"""The container runtime: containerd's configuration, its image mirrors and the pods' network."""

import json
import shutil
import socket
from pathlib import Path

from lab import toolchain
from lab.cluster.identity import Lab
from lab.cluster.processes import Part
from lab.errors import LabError
from lab.images.catalog import MIRRORED

PAUSE = "registry.k8s.io/pause:3.10"


def containerd(lab: Lab) -> Part:
    command = shutil.which("containerd")
    if command is None:
        raise LabError("containerd is not installed: `apt-get install containerd runc`")
    return Part("containerd", [command, "--config", str(lab.folder / "containerd" / "config.toml")])


def configure(lab: Lab, mtu: int) -> None:
    """Writes everything containerd and the CNI plugins read."""
    folder = lab.folder / "containerd"
    _write(folder / "config.toml", configuration(lab))
    for registry in MIRRORED:
        hosts = _mirror(registry, f"http://{lab.mirror}/v2/{registry}")
        _write(folder / "certs.d" / registry / "hosts.toml", hosts)
    own = f"registry.{lab.domain}"
    _write(folder / "certs.d" / own / "hosts.toml", _plain(own))
    for name, content in network(lab, mtu).items():
        _write(lab.folder / "cni" / name, json.dumps(content, indent=2))


def answers(lab: Lab) -> bool:
    """Whether containerd takes connections."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(lab.runtime_socket))
        except OSError:
            return False
        return True


def configuration(lab: Lab) -> str:
    """containerd's config.toml."""
    folder = lab.folder / "containerd"
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{folder / "root"}"
state = "{folder / "state"}"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{lab.runtime_socket}"

[{cri}]
  sandbox_image = "{PAUSE}"
  # Without CAP_SYS_RESOURCE every sandbox fails at lowering its score.
  restrict_oom_score_adj = true
  # What newer versions do by themselves: ports below 1024 need no privilege inside a pod.
  enable_unprivileged_ports = true
  # All mounts in one place, so that cleaning up finds them.
  netns_mounts_under_state_dir = true

[{cri}.cni]
  bin_dir = "{toolchain.binary("bridge").parent}"
  conf_dir = "{lab.folder / "cni"}"

[{cri}.registry]
  config_path = "{folder / "certs.d"}"

[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
  Root = "{folder / "state" / "runc"}"
  SystemdCgroup = false
"""


def network(lab: Lab, mtu: int) -> dict[str, object]:
    """The CNI configuration files by name."""
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "mtu": mtu,
        "ipam": {
            "type": "host-local",
            "dataDir": str(lab.folder / "containerd" / "state" / "addresses"),
            "ranges": [[{"subnet": str(lab.pods), "rangeStart": str(lab.pods[257])}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {
        "10-pods.conflist": {
            "cniVersion": "0.4.0",
            "name": lab.namespace,
            "plugins": [bridge, ports],
        }
    }


def _mirror(registry: str, url: str) -> str:
    server = "registry-1.docker.io" if registry == "docker.io" else registry
    return (
        f'server = "https://{server}"\n\n[host."{url}"]\n'
        '  capabilities = ["pull", "resolve"]\n  override_path = true\n'
    )


def _plain(registry: str) -> str:
    # containerd 1.6 takes the scheme of a `host` only: of `server` alone it makes https.
    return f'[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n'


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
