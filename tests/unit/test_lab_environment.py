"""What `lab env` hands over, the lock, cgroups, volumes and the person's own cluster."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import environment, paths
from lab.cluster import cgroups, cleanup, external, volumes
from lab.cluster.identity import Lab, find
from lab.errors import LabError
from lab.lock import alone

LAB = Lab("dev", 1, Path("/s/dev"))


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Not pytest's own folder, whose path is too long for sockets below it.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("FERRY_STATE", folder)
        yield paths.states()


def test_exports_survive_a_shell() -> None:
    text = environment.exports({"A": "with space", "B": "it's $HOME"})
    done = subprocess.run(
        ["sh", "-c", f'{text}printf \'%s|%s\' "$A" "$B"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "with space|it's $HOME"


def test_a_launcher_tells_its_stand_in_where_the_mirror_is() -> None:
    text = environment.script("lab.standins.docker_cli", LAB)
    assert "export FERRY_MIRROR=172.30.1.2:5000\n" in text
    assert "export FERRY_REGISTRY_INSECURE=registry.dev.ferry.test\n" in text
    assert f'exec {sys.executable} -m lab.standins.docker_cli "$@"\n' in text
    assert "FERRY_MIRROR" not in environment.script("lab.standins.docker_cli", None)


def test_the_engine_keeps_no_log_of_every_property_and_what_it_kept_is_gone(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "organization+ferry+dev.log").write_text("of an earlier day")
    for _ in range(2):
        assert environment.without_log(tmp_path) == tmp_path
        assert (tmp_path / "logs").is_file()


def test_launchers_are_exactly_those_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.toolchain.binary", lambda name: Path("/tools") / name)
    (tmp_path / "pulumi-resource-aws").write_text("of an earlier day")
    environment.launchers(tmp_path, LAB, ["docker"])
    environment.launchers(tmp_path, LAB, ["docker"])
    assert sorted(os.listdir(tmp_path)) == ["docker", "helm", "kubectl", "pulumi"]
    assert os.readlink(tmp_path / "pulumi") == "/tools/pulumi"
    assert os.access(tmp_path / "docker", os.X_OK)


def test_an_official_engine_brings_its_own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "official_pulumi", lambda: Path("/usr/bin/pulumi"))
    monkeypatch.setattr(environment, "_docker_works", lambda: False)
    assert environment.missing() == ["docker"]


def test_without_one_each_plugin_that_is_not_installed_is_stood_in_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "official_pulumi", lambda: None)
    monkeypatch.setattr(environment, "_docker_works", lambda: True)
    monkeypatch.setattr(environment, "_has_plugin", lambda name: name == "pulumi-resource-aws")
    assert environment.missing() == [
        "pulumi-language-python",
        "pulumi-resource-kubernetes",
        "pulumi-resource-docker",
        "pulumi-resource-random",
    ]


def test_the_variables_of_a_lab(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.toolchain.ensure", lambda _: None)
    monkeypatch.setattr("lab.toolchain.binary", lambda name: Path("/tools") / name)
    monkeypatch.setattr(environment, "missing", lambda: ["docker"])
    monkeypatch.setenv("PATH", f"{state}/prod/bin:/usr/bin")
    folder = state / "dev"
    with pytest.raises(LabError, match="was never up"):
        environment.environment("dev")
    assert not folder.exists(), "asking for a lab does not make one"
    folder.mkdir(parents=True)
    (folder / "number").write_text("1")
    with pytest.raises(LabError, match="was never up"):
        environment.environment("dev")
    (folder / "kubeconfig").write_text("")
    variables, notes = environment.environment("dev")
    # Another lab's launchers must not come first, or at all.
    assert variables["PATH"] == f"{folder}/bin:/usr/bin"
    assert variables["KUBECONFIG"] == f"{folder}/kubeconfig"
    assert variables["PULUMI_BACKEND_URL"] == f"file://{folder}/pulumi?metadata=skip"
    passphrase = Path(variables["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert passphrase.stat().st_mode & 0o777 == 0o600
    before = passphrase.read_text()
    assert len(before) > 30
    environment.environment("dev")
    assert passphrase.read_text() == before
    assert notes == ["stand-ins for docker: this machine has no official ones"]


def test_a_lab_that_uses_the_persons_own_cluster_hands_over_that(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.toolchain.ensure", lambda _: None)
    monkeypatch.setattr("lab.toolchain.binary", lambda name: Path("/tools") / name)
    monkeypatch.setattr(environment, "missing", lambda: [])
    state.mkdir(parents=True, exist_ok=True)
    (state / "dev.external").write_text("/home/me/.kube/config\n")
    variables, notes = environment.environment("dev")
    assert variables["KUBECONFIG"] == "/home/me/.kube/config"
    assert notes == []


def test_a_cluster_that_does_not_answer_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text("apiVersion: v1\nkind: Config\ncurrent-context: gone\n")
    monkeypatch.setenv("KUBECONFIG", str(file))
    assert external.chosen() is None
    monkeypatch.setattr(external, "_answers", lambda _: True)
    assert external.chosen() == file
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    assert external.chosen() is None
    monkeypatch.delenv("KUBECONFIG")
    assert external.chosen() is None


def test_the_second_command_waits_and_says_for_whom(tmp_path: Path) -> None:
    file = tmp_path / "labs" / "dev.lock"
    told: list[str] = []
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(file)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    began = time.monotonic()
    with alone(file, told.append):
        waited = time.monotonic() - began
        assert file.read_text() == f"{os.getpid()}\n"
    holder.communicate()
    assert waited > 0.3
    assert told == [f"waiting for another lab command (pid {holder.pid}, {file})"]


_HOLD = """
import sys, time
from pathlib import Path
from lab.lock import alone
with alone(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(0.5)
"""


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    file = tmp_path / "dev.lock"
    script = _HOLD.replace("time.sleep(0.5)", "time.sleep(0.5); Path(sys.argv[1]).unlink()")
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with alone(file, lambda _: None):
        assert file.read_text() == f"{os.getpid()}\n"
    holder.communicate()


def test_the_labs_cgroups_are_one_per_hierarchy(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "cgroup /c/cpu cgroup rw,cpu 0 0\ncgroup /c/memory cgroup rw,memory 0 0\n"
        "cgroup2 /c/unified cgroup2 rw 0 0\nproc /proc proc rw 0 0\n"
        "cgroup /c/cpu cgroup rw,cpu 0 0\n"
    )
    found = cgroups.folders("ferry-dev", mounts)
    assert [str(place) for place in found] == [
        "/c/cpu/ferry-dev",
        "/c/memory/ferry-dev",
        "/c/unified/ferry-dev",
    ]


def test_mounts_below_the_lab_are_found_the_latest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    rows = ["/s/dev/a", "/s/dev/a/b", "/s/development", "/s/dev/with\\040space", "/"]
    table.write_text("".join(f"1 2 0:1 / {place} rw - tmpfs tmpfs rw\n" for place in rows))
    monkeypatch.setattr(cleanup, "_MOUNTS", table)
    found = [str(place) for place in cleanup.mounts(Path("/s/dev"))]
    assert found == ["/s/dev/with space", "/s/dev/a/b", "/s/dev/a"]


def test_nothing_is_deleted_through_a_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "precious").write_text("data")
    table = tmp_path / "mountinfo"
    table.write_text(f"1 2 0:1 / {tmp_path}/kubelet rw - ext4 /dev/x rw\n")
    monkeypatch.setattr(cleanup, "_MOUNTS", table)
    with pytest.raises(LabError, match="still mounted"):
        cleanup.erase(Lab("dev", 1, tmp_path))
    assert (tmp_path / "precious").exists()


def test_a_deletion_that_was_killed_leaves_a_lab_that_is_known_and_can_be_deleted(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab("dev", 1, paths.state("dev"))
    for name in ("a", "z"):
        (lab.folder / name).mkdir(parents=True)
    lab.number_file.write_text("1\n")
    delete, deleted = shutil.rmtree, []

    def killed(path: Path) -> None:
        if deleted:
            raise KeyboardInterrupt
        deleted.append(path)
        delete(path)

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        cleanup.erase(lab)
    monkeypatch.setattr(shutil, "rmtree", delete)
    assert find("dev") == lab
    cleanup.erase(lab)
    assert not lab.folder.exists()


def _claim(**annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "data",
            "namespace": "models",
            "uid": "u-1",
            "annotations": {k.replace("__", "/"): v for k, v in annotations.items()},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "standard",
        },
    }


def test_a_claim_of_our_class_wants_a_volume_until_it_is_bound() -> None:
    key = "volume.kubernetes.io/storage-provisioner"
    ours = _claim()
    ours["metadata"]["annotations"] = {key: volumes.PROVISIONER}
    assert volumes.wants_volume(ours)
    ours["spec"]["volumeName"] = "pvc-u-1"
    assert not volumes.wants_volume(ours)
    assert not volumes.wants_volume(_claim())
    foreign = _claim()
    foreign["metadata"]["annotations"] = {key: "ebs.csi.aws.com"}
    assert not volumes.wants_volume(foreign)


def test_a_volume_is_a_folder_of_the_lab_bound_to_its_claim_and_node() -> None:
    made = volumes.volume(LAB, _claim())
    assert made["metadata"]["name"] == "pvc-u-1"
    assert made["spec"]["local"] == {"path": "/s/dev/volumes/models-data-u-1"}
    assert made["spec"]["claimRef"]["uid"] == "u-1"
    assert made["spec"]["capacity"] == {"storage": "1Gi"}
    (term,) = made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["dev"]


def test_only_a_released_volume_of_ours_is_deleted() -> None:
    made = volumes.volume(LAB, _claim())
    assert not volumes.is_released(made)
    made["status"] = {"phase": "Bound"}
    assert not volumes.is_released(made)
    made["status"] = {"phase": "Released"}
    assert volumes.is_released(made)
    made["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    assert not volumes.is_released(made)
    made["spec"]["persistentVolumeReclaimPolicy"] = "Delete"
    made["metadata"]["annotations"] = {}
    assert not volumes.is_released(made)


def test_a_shims_socket_is_found_by_the_name_containerd_gives_it() -> None:
    found = cleanup.shim_socket(LAB, "abc")
    # sha256 of "/s/dev/containerd/containerd.sock/k8s.io/abc"
    digest = "23d4bf85dc2885bf0ae118bb4c41ba65b0dbdd7ccd545b586f0f0ae9f6f3bd50"
    assert found == Path("/run/containerd/s") / digest
