"""A real lab: brought up, used, hurt, brought up again, and gone without a trace."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import paths, toolchain
from lab.cluster.cleanup import shim_socket
from lab.cluster.identity import Lab as Known

pytestmark = pytest.mark.lab

WORKLOAD = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 100Mi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsUser: 10001, runAsNonRoot: true}
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
      containers:
        - name: web
          image: python:3.11-slim
          workingDir: /data
          command: [sh, -c, "date +%s%N >> starts; exec python -m http.server 80"]
          readinessProbe: {httpGet: {path: /starts, port: 80}, periodSeconds: 1}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts: [{name: data, mountPath: /data}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: traefik
  rules:
    - host: web.test.ferry.test
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
"""


class Lab:
    """One lab, driven as a person drives it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "lab", command, self.name],
            cwd=paths.repository(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lab", command, self.name],
            cwd=paths.repository(),
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "lab", "status", self.name, "--json"],
            cwd=paths.repository(),
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout)

    def pid(self, part: str) -> int:
        return self.status()["processes"][part]["pid"]

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        kubeconfig = paths.state(self.name) / "kubeconfig"
        done = subprocess.run(
            [toolchain.binary("kubectl"), f"--kubeconfig={kubeconfig}", *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def deploy(self) -> None:
        self.kubectl("apply", "-f", "-", given=WORKLOAD.replace("test.ferry", f"{self.name}.ferry"))
        self.kubectl("rollout", "status", "deployment/web", "--timeout=120s")

    def starts(self) -> int:
        """How often the web server was started, told by itself through the Ingress.

        The Ingress controller takes a while to find an API server that was away: it is waited for.
        """
        told: list[int] = []

        def ask() -> bool:
            address = f"http://web.{self.name}.ferry.test/starts"
            with urllib.request.urlopen(address, timeout=5) as answer:
                told.append(len(answer.read().split()))
            return True

        _eventually(ask, 60)
        return told[-1]

    def traces(self) -> list[str]:
        """Everything on the machine that is this lab's."""
        folder, namespace = str(paths.state(self.name)), f"ferry-{self.name}"
        mark = f"FERRY_LAB_FOLDER={folder}".encode()
        found = [f"process {pid}" for pid in _pids() if mark in _environment(pid)]
        found += [line for line in _lines("mount") if f"{folder}/" in line]
        found += [line for line in _lines("ip", "netns", "list") if namespace in line.split()]
        found += [line for line in _lines("ip", "link") if f" v-{self.name}@" in line]
        found += [line for line in _lines("ip", "route") if f"v-{self.name} " in f"{line} "]
        found += [line for line in _lines("nft", "list", "tables") if f"ferry_{self.name}" in line]
        found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{namespace}")]
        found += [str(path) for path in Path("/sys/fs/cgroup").glob(namespace)]
        found += [line for line in Path("/etc/hosts").read_text().split("\n") if namespace in line]
        found += [str(path) for path in Path("/var/lib/cni/results").glob(f"{namespace}-*")]
        known = Known(self.name, 1, Path(folder))
        sockets = [shim_socket(known, sandbox) for sandbox in _sandboxes(folder)]
        found += [str(socket) for socket in sockets if socket.exists()]
        links = Path("/var/log/containers").glob("*")
        return found + [str(link) for link in links if folder in os.readlink(link)]


def _sandboxes(folder: str) -> list[str]:
    kept = Path(folder) / "containerd" / "root" / "io.containerd.grpc.v1.cri" / "sandboxes"
    return [path.name for path in kept.glob("*")]


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _eventually(check: object, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while True:
        try:
            assert callable(check)
            assert check()
        except (AssertionError, OSError):
            if time.monotonic() > limit:
                raise
            time.sleep(0.3)
        else:
            return


@pytest.fixture(scope="module", autouse=True)
def state() -> Iterator[None]:
    """A state of the tests' own; the cache of tools and images is everybody's."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERRY_STATE", folder)
        patch.delenv("KUBECONFIG", raising=False)
        yield


@pytest.fixture(scope="module")
def lab(state: None) -> Iterator[Lab]:
    lab = Lab("test")
    try:
        lab.run("up")
        lab.deploy()
        yield lab
    finally:
        lab.run("purge", check=False)


def test_a_lab_that_is_up_says_so_at_once(lab: Lab) -> None:
    before = lab.status()["processes"]
    assert lab.run("up").stderr.startswith("lab test is up at")
    assert [part["pid"] for part in lab.status()["processes"].values()] == [
        part["pid"] for part in before.values()
    ]


def test_every_part_and_add_on_is_reported(lab: Lab) -> None:
    _eventually(lambda: lab.status()["state"] == "running", 90)
    found = lab.status()
    assert all(part["pid"] and part["memory_mb"] for part in found["processes"].values())
    assert found["addons"] == {"coredns": True, "metrics-server": True, "traefik": True}
    assert found["pods_memory_mb"] > 10


def test_a_claim_is_bound_and_a_pod_without_root_writes_to_it(lab: Lab) -> None:
    assert lab.kubectl("get", "pvc", "data", "-o", "jsonpath={.status.phase}") == "Bound"
    owner = lab.kubectl("exec", "deploy/web", "--", "stat", "-c", "%u", "/data/starts")
    assert owner == "10001\n"


def test_an_ingress_answers_on_the_host_under_its_name(lab: Lab) -> None:
    _eventually(lambda: lab.starts() == 1)
    published = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    assert lab.kubectl("get", "ingress", "web", "-o", published) == lab.status()["address"]


def test_an_ingress_answers_inside_the_cluster_under_the_same_name(lab: Lab) -> None:
    script = (
        "import urllib.request as u; print(u.urlopen('http://web.test.ferry.test/starts').status)"
    )
    assert lab.kubectl("exec", "deploy/web", "--", "python", "-c", script) == "200\n"


def test_names_of_services_resolve_inside_the_cluster(lab: Lab) -> None:
    script = "import urllib.request as u; print(u.urlopen('http://web/starts').status)"
    assert lab.kubectl("exec", "deploy/web", "--", "python", "-c", script) == "200\n"


def test_usage_is_measured(lab: Lab) -> None:
    _eventually(lambda: "web" in lab.kubectl("top", "pod"), 90)


def test_nobody_gets_in_without_a_name(lab: Lab) -> None:
    server = f"https://{lab.status()['address']}:6443"
    asked = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"{server}/api"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "401"


def test_the_volume_of_a_deleted_claim_goes_with_it(lab: Lab) -> None:
    claim = WORKLOAD.split("---")[0].replace("name: data", "name: short-lived")
    lab.kubectl("apply", "-f", "-", given=claim)
    volumes = paths.state("test") / "volumes"
    _eventually(lambda: len(list(volumes.glob("default-short-lived-*"))) == 1)
    lab.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/short-lived")
    lab.kubectl("delete", "pvc", "short-lived")
    _eventually(lambda: not list(volumes.glob("default-short-lived-*")))
    _eventually(lambda: lab.kubectl("get", "pv", "-o", "name").count("\n") == 1)


@pytest.mark.parametrize(
    "parts", [["kubelet", "apiserver"], ["etcd"], ["containerd"], ["proxy", "attendant", "mirror"]]
)
def test_what_was_killed_runs_again_after_up_and_pods_never_noticed(
    lab: Lab, parts: list[str]
) -> None:
    before = lab.starts()
    pids = {part: lab.pid(part) for part in parts}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    assert lab.status()["state"] == "partial"
    lab.run("up")
    assert all(lab.pid(part) not in (None, pid) for part, pid in pids.items())
    assert lab.starts() == before


def test_a_lab_that_was_killed_whole_comes_up_with_its_data(lab: Lab) -> None:
    before = lab.starts()
    mark = f"FERRY_LAB_FOLDER={paths.state('test')}".encode()
    for pid in [pid for pid in _pids() if mark in _environment(pid)]:
        os.kill(pid, signal.SIGKILL)
    lab.run("up")
    _eventually(lambda: lab.starts() > before, 60)


def test_a_lab_whose_network_was_taken_away_comes_up(lab: Lab) -> None:
    before = lab.starts()
    subprocess.run(["ip", "netns", "delete", "ferry-test"], check=True)
    lab.run("up")
    _eventually(lambda: lab.starts() > before, 60)


def test_an_overwritten_kubeconfig_is_put_right(lab: Lab) -> None:
    file = paths.state("test") / "kubeconfig"
    file.write_text("old")
    lab.run("up")
    assert lab.kubectl("get", "--raw", "/readyz") == "ok"
    assert file.stat().st_mode & 0o777 == 0o600


def test_down_leaves_nothing_and_the_next_up_has_its_data(lab: Lab) -> None:
    before = lab.starts()
    assert lab.traces()
    lab.run("down")
    assert lab.traces() == []
    assert lab.status()["state"] == "stopped"
    lab.run("up")
    _eventually(lambda: lab.starts() > before, 60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("seconds", [0.7, 2.5])
def test_an_interrupted_up_is_finished_by_the_next(
    lab: Lab, number: signal.Signals, seconds: float
) -> None:
    lab.run("down")
    first = lab.start("up")
    time.sleep(seconds)
    first.send_signal(number)
    told = first.communicate()[1]
    assert first.returncode == (-9 if number == signal.SIGKILL else 130)
    assert number == signal.SIGKILL or "the same command again goes on" in told
    lab.run("up")
    _eventually(lambda: lab.starts() > 0, 60)


def test_a_second_up_waits_for_the_first(lab: Lab) -> None:
    lab.run("down")
    first = lab.start("up")
    _eventually(lambda: (paths.states() / "test.lock").read_text() == f"{first.pid}\n", 5)
    second = lab.run("up").stderr
    assert f"waiting for another lab command (pid {first.pid}" in second
    assert "lab test is up" in second
    first.communicate()
    assert first.returncode == 0


def test_two_labs_at_once_and_one_goes_without_touching_the_other(lab: Lab) -> None:
    other = Lab("test2")
    try:
        other.run("up")
        other.deploy()
        assert other.status()["address"] != lab.status()["address"]
        _eventually(lambda: other.starts() == 1)
        before = lab.starts()
        other.run("down")
        assert other.traces() == []
        assert lab.starts() == before
        assert lab.run("up").stderr.startswith("lab test is up at")
    finally:
        other.run("purge", check=False)
    assert not paths.state("test2").exists()


def test_purge_leaves_no_data(lab: Lab) -> None:
    lab.run("purge")
    assert lab.traces() == []
    assert not paths.state("test").exists()
    assert lab.status() == {"name": "test", "state": "absent"}
    assert list(paths.states().glob("test*")) == []
