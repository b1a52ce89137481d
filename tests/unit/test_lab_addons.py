"""What `up` says when the cluster itself does not come up."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from lab.cluster import addons, api, lab
from lab.cluster.identity import Lab
from lab.errors import LabError

LAB = Lab("dev", 1, Path("/s/dev"))


def _pod(name: str, **state: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"containerStatuses": [{"state": state}]}}


def test_pods_that_wait_for_a_remedy_are_named_with_what_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pods = [
        _pod("good", running={}),
        _pod("starting", waiting={"reason": "ContainerCreating"}),
        _pod("bad", waiting={"reason": "ImagePullBackOff", "message": "no such image"}),
        {"metadata": {"name": "pending"}, "status": {}},
    ]
    monkeypatch.setattr(api, "get", lambda _lab, _path: {"items": pods})
    assert api.stuck(LAB, "traefik") == {"bad": "ImagePullBackOff: no such image"}


def test_a_stuck_pod_is_replaced_and_a_lasting_complaint_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[tuple[str, ...]] = []
    stuck = {"traefik": {"traefik-1": "ImagePullBackOff: no such image"}}
    monkeypatch.setattr(api, "stuck", lambda _lab, namespace: stuck.get(namespace, {}))
    monkeypatch.setattr(addons, "_kubectl", lambda _lab, *arguments: ran.append(arguments))
    monkeypatch.setattr(addons, "names_resolve", lambda _: False)
    with pytest.raises(LabError, match=r"pod traefik-1: ImagePullBackOff: no such image"):
        addons.wait(LAB, 0)
    assert ran == [("delete", "pod", "--namespace=traefik", "--now", "traefik-1")]


def test_a_server_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    assert not api.ready(Lab("dev", 1, tmp_path))
    assert not api.ready_since(Lab("dev", 1, tmp_path), "")
    assert api.deployments(Lab("dev", 1, tmp_path), "traefik") == {}


def test_a_node_that_spoke_before_the_start_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T10:00:00Z"}
    monkeypatch.setattr(api, "get", lambda _lab, _path: {"status": {"conditions": [said]}})
    assert api.ready_since(LAB, "2026-01-01T10:00:00Z")
    assert not api.ready_since(LAB, "2026-01-01T10:00:01Z")
    said["status"] = "Unknown"
    assert not api.ready_since(LAB, "")


def test_a_full_disk_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1.5e9)

    monkeypatch.setattr(lab.shutil, "disk_usage", usage)
    with pytest.raises(LabError, match=r"has 1\.5 GB free, and a lab needs 2 GB.*purge"):
        lab._refuse_full_disk(Lab("dev", 1, tmp_path))


def test_the_manifests_are_whole_and_carry_the_labs_addresses() -> None:
    found = [item for item in yaml.safe_load_all(addons.documents(LAB)) if item]
    named = {(item["kind"], item["metadata"]["name"]): item for item in found}
    assert named["Service", "kube-dns"]["spec"]["clusterIP"] == "10.151.0.10"
    assert named["Service", "traefik"]["spec"]["clusterIP"] == "10.151.0.80"
    corefile = named["ConfigMap", "coredns"]["data"]["Corefile"]
    assert corefile.startswith("dev.ferry.test:53 {")
    assert "{{ .Name }} 30 IN A 10.151.0.80" in corefile
    arguments = named["Deployment", "traefik"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--providers.kubernetesingress.ingressendpoint.ip=172.30.1.2" in arguments
    standard = named["StorageClass", "standard"]["metadata"]["annotations"]
    assert standard == {"storageclass.kubernetes.io/is-default-class": "true"}
