"""What the lab's processes are told: certificates, command lines, configuration files."""

import os
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab.cluster import control_plane, kubeconfig, mirror, node, pki, runtime
from lab.cluster.identity import Lab


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.toolchain.binary", lambda name: Path("/tools") / name)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab("dev", 1, tmp_path)


def _flags(command: list[str]) -> dict[str, str]:
    return dict(flag.removeprefix("--").partition("=")[::2] for flag in command[1:])


def _certificate(lab: Lab, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((lab.folder / "pki" / f"{name}.crt").read_bytes())


def test_every_certificate_is_signed_by_its_authority_and_names_its_holder(lab: Lab) -> None:
    pki.ensure(lab)
    for leaf in pki.leaves(lab):
        found = _certificate(lab, leaf.name)
        found.verify_directly_issued_by(_certificate(lab, leaf.authority))
        name = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        assert name == leaf.common_name
    node_name = _certificate(lab, "node").subject.rfc4514_string()
    assert "system:node:dev" in node_name
    assert "system:nodes" in node_name


def test_the_api_servers_certificate_holds_every_name_it_is_called_by(lab: Lab) -> None:
    pki.ensure(lab)
    names = _certificate(lab, "apiserver").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert {IPv4Address("172.30.1.2"), IPv4Address("10.151.0.1")} <= set(addresses)
    assert "kubernetes.default.svc" in names.value.get_values_for_type(x509.DNSName)


def test_a_cluster_certificate_opens_neither_etcd_nor_the_aggregator(lab: Lab) -> None:
    pki.ensure(lab)
    for authority in ("etcd-ca", "front-proxy-ca"):
        with pytest.raises(ValueError, match="Issuer"):
            _certificate(lab, "admin").verify_directly_issued_by(_certificate(lab, authority))


def test_private_keys_are_readable_by_their_owner_alone(lab: Lab) -> None:
    folder = pki.ensure(lab)
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    kubeconfig.write(lab, folder)
    assert lab.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_what_is_good_stays_as_it_is(lab: Lab) -> None:
    folder = pki.ensure(lab)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    pki.ensure(lab)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("damage", ["missing key", "torn certificate", "another's key"])
def test_a_damaged_certificate_is_issued_anew_and_the_rest_stays(lab: Lab, damage: str) -> None:
    folder = pki.ensure(lab)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    if damage == "missing key":
        (folder / "node.key").unlink()
    elif damage == "torn certificate":
        (folder / "node.crt").write_bytes(before["node.crt"][:100])
    else:
        (folder / "node.key").write_bytes(before["admin.key"])
    pki.ensure(lab)
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"node.key", "node.crt"}


def test_a_new_number_gives_new_names_under_the_same_authority(lab: Lab) -> None:
    folder = pki.ensure(lab)
    authority = (folder / "ca.crt").read_bytes()
    pki.ensure(replace(lab, number=2))
    assert (folder / "ca.crt").read_bytes() == authority
    names = _certificate(lab, "node").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.IPAddress) == [IPv4Address("172.30.2.2")]


def test_a_certificate_is_renewed_a_month_before_it_expires(lab: Lab) -> None:
    folder = pki.ensure(lab)
    before = (folder / "admin.crt").read_bytes()
    authority = (folder / "ca.crt").read_bytes()
    pki.ensure(lab, datetime.now(UTC) + timedelta(days=334))
    assert (folder / "admin.crt").read_bytes() == before
    pki.ensure(lab, datetime.now(UTC) + timedelta(days=336))
    assert (folder / "admin.crt").read_bytes() != before
    assert (folder / "ca.crt").read_bytes() == authority


def test_the_key_of_service_accounts_outlives_everything(lab: Lab) -> None:
    folder = pki.ensure(lab)
    key = (folder / "accounts.key").read_bytes()
    for file in folder.glob("*.crt"):
        file.unlink()
    pki.ensure(lab)
    assert (folder / "accounts.key").read_bytes() == key
    public = serialization.load_pem_private_key(key, None).public_key()
    assert public == serialization.load_pem_public_key((folder / "accounts.pub").read_bytes())


def test_a_kubeconfig_is_known_as_a_labs_own(lab: Lab) -> None:
    kubeconfig.write(lab, pki.ensure(lab))
    text = lab.kubeconfig.read_text()
    assert kubeconfig.is_lab(text)
    content = yaml.safe_load(text)
    assert content["clusters"][0]["cluster"]["server"] == "https://172.30.1.2:6443"
    assert content["current-context"] == "ferry-dev"


@pytest.mark.parametrize("change", ["no extension", "another context", "empty", "torn"])
def test_any_other_kubeconfig_is_not(lab: Lab, change: str) -> None:
    kubeconfig.write(lab, pki.ensure(lab))
    content = yaml.safe_load(lab.kubeconfig.read_text())
    if change == "no extension":
        del content["clusters"][0]["cluster"]["extensions"]
    if change == "another context":
        content["current-context"] = "cloud"
    text = {"empty": "", "torn": "{a: ["}.get(change, yaml.safe_dump(content))
    assert not kubeconfig.is_lab(text)


def test_the_api_server_lets_nobody_in_unnamed(lab: Lab) -> None:
    flags = _flags(control_plane.apiserver(lab, Path("/pki")).command)
    assert flags["anonymous-auth"] == "false"
    assert flags["authorization-mode"] == "Node,RBAC"
    assert "NodeRestriction" in flags["enable-admission-plugins"]
    assert flags["service-cluster-ip-range"] == "10.151.0.0/16"
    assert flags["etcd-servers"].startswith("https://")


def test_etcd_wants_a_certificate_of_its_clients(lab: Lab) -> None:
    flags = _flags(control_plane.etcd(lab, Path("/pki")).command)
    assert "client-cert-auth" in flags
    assert flags["trusted-ca-file"] == "/pki/etcd-ca.crt"


def test_the_kubelet_keeps_to_the_labs_own_folders_and_cgroups(lab: Lab) -> None:
    found = node.kubelet_configuration(lab, Path("/pki"))
    assert found["cgroupRoot"] == "/ferry-dev"
    assert found["clusterDNS"] == ["10.151.0.10"]
    assert found["authentication"] == {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "/pki/ca.crt"},
    }
    places = [found["podLogsDir"], found["volumePluginDir"]]
    assert all(str(place).startswith(str(lab.folder)) for place in places)
    assert f"--root-dir={lab.folder}/kubelet" in node.kubelet(lab).command


def test_every_path_containerd_writes_to_is_the_labs_own(lab: Lab) -> None:
    text = runtime.configuration(lab)
    config = tomllib.loads(text)
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    options = cri["containerd"]["runtimes"]["runc"]["options"]
    written = [config["root"], config["state"], config["grpc"]["address"], options["Root"]]
    assert all(place.startswith(str(lab.folder)) for place in written)
    assert cri["netns_mounts_under_state_dir"] is True
    assert cri["restrict_oom_score_adj"] is True


def test_public_registries_are_answered_by_the_mirror(lab: Lab) -> None:
    runtime.configure(lab, 1400)
    certs = lab.folder / "containerd" / "certs.d"
    docker = tomllib.loads((certs / "docker.io" / "hosts.toml").read_text())
    host = docker["host"]["http://172.30.1.2:5000/v2/docker.io"]
    assert host == {"capabilities": ["pull", "resolve"], "override_path": True}
    assert docker["server"] == "https://registry-1.docker.io"
    own = tomllib.loads((certs / "registry.dev.ferry.test" / "hosts.toml").read_text())
    plain = {"capabilities": ["pull", "resolve"]}
    assert own == {"host": {"http://registry.dev.ferry.test": plain}}
    assert sorted(os.listdir(certs)) == [
        "docker.io",
        "ghcr.io",
        "quay.io",
        "registry.dev.ferry.test",
        "registry.k8s.io",
    ]


def test_pods_get_addresses_of_the_lab_and_no_larger_packets_than_the_host(lab: Lab) -> None:
    (content,) = runtime.network(lab, 1400).values()
    bridge, ports = content["plugins"]  # ty: ignore[not-subscriptable]
    assert bridge["mtu"] == 1400
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.101.0.0/16", "rangeStart": "10.101.1.1"}]]
    assert ports["type"] == "portmap"


def test_the_mirror_never_deletes(tmp_path: Path) -> None:
    storage = mirror.configuration("1.2.3.4:5000", tmp_path)["storage"]
    assert storage == {
        "filesystem": {"rootdirectory": str(tmp_path)},
        "delete": {"enabled": False},
        "maintenance": {"uploadpurging": {"enabled": False}},
    }


def test_no_command_line_holds_a_secret(lab: Lab) -> None:
    folder = pki.ensure(lab)
    parts = [
        control_plane.etcd(lab, folder),
        control_plane.apiserver(lab, folder),
        control_plane.controller_manager(lab, folder),
        control_plane.scheduler(lab),
        node.kubelet(lab),
        node.proxy(lab),
    ]
    assert not [flag for part in parts for flag in part.command if re.search("BEGIN|token", flag)]
    assert [part.inside for part in parts] == [True] * 6
