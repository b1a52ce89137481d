"""What the toolchain reads and decides: locks, keys, names, places, Debian packages."""

import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab import paths
from lab.toolchain import ToolchainError, catalog
from lab.toolchain.catalog import Tool, go_binary, read_lock, read_tools, select
from lab.toolchain.packages import NO_DAEMONS, missing, no_daemons

GO_MOD = """module ferry/toolchain/thing

go 1.24.0

replace example.org/tool => example.org/fork v9.9.9

tool example.org/thing/v2/cmd/server // the server

tool (
\texample.org/thing/v2/cmd/client

\texample.org/thing/v2
)

require example.org/thing/v2 v2.3.4

require (
\texample.org/other v0.1.0 // indirect
\t// example.org/gone v1.0.0
)
"""


def write_lock(folder: Path, go_mod: str = GO_MOD, go_sum: str = "sum\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(go_mod)
    (folder / "go.sum").write_text(go_sum)
    return folder


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool("thing", "example.org/thing/v2", read_lock(write_lock(tmp_path / "thing")))


class TestLock:
    def test_packages_and_versions_come_from_lines_and_blocks(self, tmp_path: Path) -> None:
        lock = read_lock(write_lock(tmp_path / "thing"))
        assert lock.packages == (
            "example.org/thing/v2/cmd/server",
            "example.org/thing/v2/cmd/client",
            "example.org/thing/v2",
        )
        assert lock.versions == {"example.org/thing/v2": "v2.3.4", "example.org/other": "v0.1.0"}

    @pytest.mark.parametrize(
        ("package", "name"),
        [
            ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
            ("go.etcd.io/etcd/server/v3", "server"),
            ("example.org/thing/v12", "thing"),
            ("example.org/thing/v1", "v1"),
            ("example.org/thing/vet", "vet"),
            ("tool", "tool"),
        ],
    )
    def test_executables_are_named_as_go_names_them(self, package: str, name: str) -> None:
        assert go_binary(package) == name

    def test_a_renamed_binary_is_known_by_its_better_name(self, tool: Tool) -> None:
        renamed = replace(tool, rename={"server": "thingd"})
        assert renamed.binaries == ("thingd", "client", "thing")

    def test_the_linker_is_told_the_version_of_the_lock(self, tool: Tool) -> None:
        told = replace(tool, variables={"a.V": "{version}", "a.N": "{major}.{minor}"})
        assert told.ldflags == "-s -w -X a.V=v2.3.4 -X a.N=2.3"

    def test_a_release_that_go_cannot_name_is_the_version(self, tool: Tool) -> None:
        assert replace(tool, release="v4.0.0").version == "v4.0.0"

    def test_what_a_tool_leaves_out_is_told_to_go(self, tool: Tool) -> None:
        assert replace(tool, tags=("small", "fast")).flags == (*tool.flags, "-tags", "small,fast")

    def test_the_release_of_prometheus_is_that_of_its_module(self) -> None:
        prometheus = catalog.tools()["prometheus"]
        zero, both, patch = prometheus.lock.versions[prometheus.module].split(".")
        assert zero == "v0"
        assert prometheus.release == f"v{int(both) // 100}.{int(both) % 100}.{patch}"


class TestKey:
    def test_it_is_readable_and_stays_the_same(self, tool: Tool) -> None:
        again = Tool("thing", tool.module, read_lock(tool.lock.folder))
        assert tool.key == again.key
        name, digest = tool.key.rsplit("-", 1)
        assert name == "thing-v2.3.4"
        assert len(digest) == 8

    @pytest.mark.parametrize(
        "changed",
        [
            lambda tool: replace(tool, variables={"a.V": "x"}),
            lambda tool: replace(tool, rename={"server": "thingd"}),
            lambda tool: replace(tool, keep={"example.org/thing/v2": ["LICENSE"]}),
            lambda tool: replace(tool, tags=("small",)),
            lambda tool: replace(tool, experiment="new"),
        ],
    )
    def test_another_recipe_gives_another_key(
        self, tool: Tool, changed: Callable[[Tool], Tool]
    ) -> None:
        assert changed(tool).key != tool.key

    @pytest.mark.parametrize(
        ("go_mod", "go_sum"), [(GO_MOD, "other\n"), (GO_MOD.replace("v0.1.0", "v0.1.1"), "sum\n")]
    )
    def test_another_lock_gives_another_key(
        self, tool: Tool, tmp_path: Path, go_mod: str, go_sum: str
    ) -> None:
        lock = read_lock(write_lock(tmp_path / "other", go_mod, go_sum))
        assert replace(tool, lock=lock).key != tool.key

    def test_being_built_by_default_or_not_gives_the_same(self, tool: Tool) -> None:
        assert replace(tool, default=False).key == tool.key


class TestCatalog:
    def test_a_tool_whose_lock_lacks_its_module_is_named(self, tmp_path: Path) -> None:
        write_lock(tmp_path / "modules/thing")
        file = tmp_path / "tools.toml"
        file.write_text('[tools.thing]\nmodule = "example.org/absent"\n')
        with pytest.raises(ToolchainError, match=r"go\.mod does not require example\.org/absent"):
            read_tools(file)

    def test_without_names_the_default_tools_are_meant(self) -> None:
        names = [tool.name for tool in select(catalog.tools(), None)]
        assert names[:3] == ["kubernetes", "etcd", "cni"]
        assert "grpcurl" not in names

    def test_named_tools_come_in_the_order_of_the_catalog(self) -> None:
        names = [tool.name for tool in select(catalog.tools(), ["argo-rollouts", "etcd"])]
        assert names == ["etcd", "argo-rollouts"]

    def test_an_unknown_name_is_refused_with_those_there_are(self) -> None:
        with pytest.raises(ToolchainError, match=r"unknown tool ectd; there are kubernetes, etcd"):
            select(catalog.tools(), ["ectd", "cni"])

    def test_every_binary_comes_from_one_tool(self) -> None:
        names = Counter(name for tool in catalog.tools().values() for name in tool.binaries)
        assert set(names.values()) == {1}
        assert {"kubectl", "etcd", "bridge", "registry", "prometheus-operator"} <= names.keys()

    def test_kubernetes_calls_itself_by_its_version(self) -> None:
        kubernetes = catalog.tools()["kubernetes"]
        flag = "k8s.io/component-base/version.git{}={}"
        assert flag.format("Version", kubernetes.version) in kubernetes.ldflags
        assert flag.format("Minor", kubernetes.version.split(".")[1]) in kubernetes.ldflags


class TestDebian:
    def test_only_installed_packages_count_as_there(self) -> None:
        listing = "runc installed\nbuildah half-installed\nskopeo not-installed\n"
        wanted = ["runc", "buildah", "skopeo", "debootstrap"]
        assert missing(wanted, listing) == ["buildah", "skopeo", "debootstrap"]

    def test_no_daemon_may_start_while_packages_are_installed(self, tmp_path: Path) -> None:
        policy = tmp_path / "policy-rc.d"
        with no_daemons(policy):
            answer = subprocess.run([policy, "containerd", "start"], check=False)
            assert answer.returncode == 101
        assert not policy.exists()

    def test_a_persons_own_policy_stands(self, tmp_path: Path) -> None:
        policy = tmp_path / "policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 0\n")
        with no_daemons(policy):
            assert policy.read_text() == "#!/bin/sh\nexit 0\n"
        assert policy.read_text() == "#!/bin/sh\nexit 0\n"

    def test_the_policy_that_a_killed_run_left_goes(self, tmp_path: Path) -> None:
        policy = tmp_path / "policy-rc.d"
        policy.write_text(NO_DAEMONS)
        with no_daemons(policy):
            pass
        assert not policy.exists()


class TestPlaces:
    def test_cache_and_state_are_where_the_person_says(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("FERRY_CACHE", str(tmp_path / "c"))
        monkeypatch.setenv("FERRY_STATE", str(tmp_path / "s"))
        assert paths.cache() == tmp_path / "c"
        assert paths.state("dev") == tmp_path / "s/labs/dev"

    def test_else_they_are_where_the_desktop_keeps_such_things(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("FERRY_CACHE", "FERRY_STATE", "XDG_STATE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        monkeypatch.setenv("HOME", str(tmp_path))
        assert paths.cache() == tmp_path / "xdg/ferry"
        assert paths.state("dev") == tmp_path / ".local/state/ferry/labs/dev"
