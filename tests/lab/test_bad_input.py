"""What a person does wrong, for real: a full disk, an occupied address or port, and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import paths, toolchain
from lab.cluster.identity import Lab as Known
from lab.standins.kubernetes.client import Client
from tests.lab.project import Project
from tests.lab.test_cluster import Lab
from tests.lab.test_kubernetes_standin import K8S

pytestmark = pytest.mark.lab

# Other labs of the machine take the lowest numbers: this one's addresses are nobody else's.
HELD = Known("test", 49, Path())
LENGTH = 12
CHAINS = K8S + (
    "for chain in 'abc':\n"
    "    before = None\n"
    f"    for number in range({LENGTH}):\n"
    "        name = f'{chain}-{number}'\n"
    "        before = k8s.core.v1.ConfigMap(name, metadata={'name': name}, data={'a': '1'},\n"
    "            opts=pulumi.ResourceOptions(depends_on=before))\n"
)
ALL = {f"{chain}-{number}" for chain in "abc" for number in range(LENGTH)}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab that was never up, with a state of its own."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("FERRY_STATE", folder)
        monkeypatch.delenv("KUBECONFIG", raising=False)
        found = Lab("test")
        assert found.traces() == []
        yield found
        found.run("purge", check=False)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of 64 MB; a test names it before its lab, which then goes first."""
    with tempfile.TemporaryDirectory() as folder:
        _run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder)
        try:
            yield Path(folder)
        finally:
            _run("umount", folder)


@pytest.fixture
def numbered(lab: Lab) -> Lab:
    """A lab with a number from an earlier `up`."""
    folder = paths.state(lab.name)
    folder.mkdir(parents=True)
    (folder / "number").write_text(f"{HELD.number}\n")
    return lab


@pytest.fixture
def wire() -> Iterator[None]:
    """A device `held` of the host."""
    _run("ip", "link", "add", "held", "type", "veth", "peer", "name", "held-peer")
    try:
        _run("ip", "link", "set", "held-peer", "up")
        _run("ip", "link", "set", "held", "up")
        yield
    finally:
        _run("ip", "link", "delete", "held")


@pytest.mark.parametrize("full", [False, True], ids=["small", "full"])
def test_a_disk_without_room_for_a_labs_data_is_refused(
    disk: Path, lab: Lab, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_STATE", str(disk))
    if full:
        _fill(disk)
    told = _refused(lab)
    free = "0.0" if full else "0.1"
    assert f"{disk}/labs" in told
    assert f"has {free} GB free, and a lab needs 2 GB" in told
    assert "lab purge NAME" in told


@pytest.mark.parametrize("full", [False, True], ids=["small", "full"])
def test_a_disk_without_room_for_the_tools_is_refused_before_one_is_built(
    disk: Path, lab: Lab, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_CACHE", str(disk))
    if full:
        _fill(disk)
    told = _refused(lab)
    free = "0.0" if full else "0.1"
    assert "building kubernetes, etcd, cni, registry, metrics-server takes about 20 GB" in told
    assert f"{disk} has {free} GB free" in told
    assert "set FERRY_CACHE to a folder on a larger disk" in told
    assert {path.name for path in disk.iterdir()} <= {"lock", "filler"}


def test_a_disk_without_room_for_images_is_refused(
    disk: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (disk / "tools").symlink_to(paths.cache() / "tools")
    monkeypatch.setenv("FERRY_CACHE", str(disk))
    assert f"{disk} has 0.1 GB free, and a lab needs 2 GB" in _refused(lab)


@pytest.mark.parametrize(
    ("address", "device"), [(f"{HELD.gateway}/24", "held"), (f"{HELD.address}/32", "lo")]
)
def test_an_address_that_the_host_has_is_named_with_the_remedy(
    numbered: Lab, wire: None, address: str, device: str
) -> None:
    _run("ip", "addr", "add", address, "dev", device)
    try:
        told = _refused(numbered)
    finally:
        _run("ip", "addr", "delete", address, "dev", device)
    assert f"the host's {'address' if device == 'lo' else 'route to'} 172.30.49." in told
    assert f"(device {device}) covers addresses of lab test" in told
    assert "remove it, or take other addresses with `python -m lab purge test`" in told
    assert "172.30.49." not in _run("ip", "addr") + _run("ip", "route", "show", "table", "all")


def test_a_name_that_another_folder_holds_is_left_to_it(lab: Lab) -> None:
    owner = "/elsewhere/ferry/labs/test"
    _run("ip", "link", "add", "v-test", "type", "veth", "peer", "name", "v-peer")
    try:
        _run("ip", "link", "set", "v-test", "alias", owner)
        for command in ("up", "down"):
            done = lab.run(command, check=False)
            assert done.returncode == 1
            assert f"a lab test is up already, and {owner} holds it" in done.stderr
            assert "FERRY_STATE=/elsewhere/ferry python -m lab down test" in done.stderr
        assert [trace.split()[1] for trace in lab.traces()] == ["v-test@v-peer:"]
    finally:
        _run("ip", "link", "delete", "v-test")
    assert lab.traces() == []


@pytest.mark.parametrize(("part", "port"), [("etcd", 2379), ("apiserver", 6443), ("mirror", 5000)])
def test_a_port_that_something_else_holds_is_refused_and_down_takes_all_away(
    numbered: Lab, part: str, port: int
) -> None:
    with _port(port):
        began = time.monotonic()
        done = numbered.run("up", check=False)
        assert done.returncode == 1
        assert f"lab: {part} ended at its start. Its port is taken inside the lab: " in done.stderr
        assert "`python -m lab down` and `up`" in done.stderr
        assert f":{port}: bind: address already in use" in done.stderr
        assert time.monotonic() - began < 90
        numbered.run("down")
        assert numbered.traces() == []


@pytest.mark.parametrize("count", [1, 10, 25])
def test_an_interrupted_update_loses_nothing_and_the_next_one_finishes_it(
    cluster_project: Project, api: Client, namespace: str, count: int
) -> None:
    engine = subprocess.Popen(
        [toolchain.binary("pulumi"), "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=cluster_project.program(CHAINS).folder,
        env=cluster_project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    give_up = time.monotonic() + 60
    while len(_uids(api, namespace)) < count:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    engine.send_signal(signal.SIGINT)
    began = time.monotonic()
    printed, _ = engine.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert engine.returncode != 0, printed
    before = _uids(api, namespace)
    assert count <= len(before) < len(ALL), printed
    known = {each["id"] for each in cluster_project.resources("v1:ConfigMap")}
    assert known == {f"{namespace}/{name}" for name in before}, printed
    latest = json.loads(cluster_project.state())["checkpoint"]["latest"]
    assert latest.get("pending_operations", []) == []
    cluster_project.up()
    assert cluster_project.preview() == {}
    after = _uids(api, namespace)
    assert set(after) == ALL
    assert before.items() <= after.items()
    cluster_project.destroy()
    assert _uids(api, namespace) == {}


def _refused(lab: Lab) -> str:
    """What an `up` said that failed in one line and left nothing."""
    done = lab.run("up", check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert lab.traces() == []
    return done.stderr


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def _port(port: int) -> Generator[None]:
    """Something that is not the lab's listens on the port in the namespace that the lab uses."""
    script = f"import socket; s = socket.create_server(('', {port})); print(1, flush=True); input()"
    _run("ip", "netns", "add", HELD.namespace)
    try:
        with subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{HELD.namespace}", sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder:
            try:
                assert holder.stdout
                assert holder.stdout.readline() == b"1\n"
                yield
            finally:
                holder.kill()
    finally:
        # `down` takes it away as well.
        subprocess.run(["ip", "netns", "delete", HELD.namespace], capture_output=True, check=False)


def _uids(api: Client, namespace: str) -> dict[str, str]:
    """The uid of each ConfigMap of the test in the cluster, by name."""
    listed = api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps")["items"]
    found = {each["metadata"]["name"]: each["metadata"]["uid"] for each in listed}
    return {name: uid for name, uid in found.items() if name != "kube-root-ca.crt"}
