"""The toolchain at work: what is built, found, kept and dropped, also when it is cut short.

Go is a script here, which writes what it is asked for and notes its calls.
"""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.lock import alone
from lab.toolchain import ToolchainError, binary, catalog, ensure, install, module, store

ROOT = Path(__file__).parents[2]
FAKE_GO = """#!/bin/sh
echo "$1" >> "$FAKE/calls"
echo "$GOTOOLCHAIN $GOWORK $CGO_ENABLED $GOMODCACHE $*" > "$FAKE/last"
echo "$GOEXPERIMENT" > "$FAKE/experiment"
mkdir -p "$GOMODCACHE" "$GOCACHE"
if [ "$1" = list ]; then echo "$FAKE/source"; exit; fi
while [ $# -gt 0 ]; do
  case "$1" in
    build | -mod=* | -modcacherw | -trimpath) ;;
    -o) out=$2; shift ;;
    -ldflags) shift ;;
    *)
      name=$(basename "${1%/v[2-9]}")
      if [ -e "$FAKE/hang" ]; then echo $$ > "$FAKE/pid"; exec sleep 60; fi
      if [ -e "$FAKE/break-$name" ]; then seq 40 >&2; echo "undefined: x" >&2; exit 1; fi
      echo built > "$out$name"
      ;;
  esac
  shift
done
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and the folder in which a scripted Go notes its calls and finds orders."""
    fake = tmp_path / "go"
    for name in ("source/python/cmd", "bin"):
        (fake / name).mkdir(parents=True)
    (fake / "source/python/cmd/pulumi-language-python-exec").write_text("runner")
    (fake / "bin/go").write_text(FAKE_GO)
    (fake / "bin/go").chmod(0o755)
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("PATH", f"{fake / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("FERRY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FERRY_STATE", str(tmp_path / "state"))
    return fake


def calls(go: Path) -> Counter[str]:
    notes = go / "calls"
    return Counter(notes.read_text().splitlines() if notes.exists() else [])


def finished(tmp_path: Path) -> set[str]:
    """The names of the tools in the cache, with whatever else lies among them."""
    return {path.name.split("-v")[0] for path in (tmp_path / "cache/tools").iterdir()}


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def wait_for_text(file: Path) -> str:
    wait_until(lambda: file.exists() and file.read_text().strip())
    return file.read_text().strip()


@pytest.mark.usefixtures("go")
class TestStore:
    def test_a_tool_not_built_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ToolchainError, match=r"run `python -m lab\.toolchain kubernetes`"):
            binary("kubectl")

    def test_a_binary_that_no_tool_gives_is_refused(self) -> None:
        with pytest.raises(ToolchainError, match=r"no tool gives kubctl; there are kube-apiserver"):
            binary("kubctl")

    def test_a_module_of_an_unknown_tool_is_refused(self) -> None:
        with pytest.raises(ToolchainError, match="unknown tool metrics; there are kubernetes"):
            module("metrics")

    def test_a_persons_own_pulumi_is_used_and_none_is_built(
        self, go: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = go / "bin/pulumi"
        own.touch(mode=0o755)
        ensure(["pulumi"])
        assert binary("pulumi") == own
        assert calls(go) == {}
        assert f"pulumi: {own} from PATH is used" in capsys.readouterr().err

    def test_our_own_launchers_do_not_count_as_a_persons_pulumi(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own, built, linked, launcher = places = [
            tmp_path / folder / "pulumi"
            for folder in ("own", "cache/tools/pulumi-v1/bin", "linked", "state/labs/dev/bin")
        ]
        for place in places:
            place.parent.mkdir(parents=True)
        own.touch(mode=0o755)
        built.touch(mode=0o755)
        linked.symlink_to(built)
        launcher.symlink_to(own)
        monkeypatch.setenv("PATH", f"{launcher.parent}:{built.parent}:{linked.parent}")
        assert store.official_pulumi() is None
        monkeypatch.setenv("PATH", f"{launcher.parent}:{linked.parent}:{own.parent}")
        assert store.official_pulumi() == own


class TestEnsure:
    def test_a_tool_is_built_once_and_found_under_its_names(self, go: Path, tmp_path: Path) -> None:
        ensure(["etcd"])
        ensure(["etcd"])
        assert calls(go) == {"build": 1}
        assert binary("etcd").read_text() == "built\n"
        assert not binary("etcd").with_name("server").exists()
        assert finished(tmp_path) == {"etcd"}

    def test_go_builds_from_the_lock_alone_and_names_no_path_of_the_machine(
        self, go: Path, tmp_path: Path
    ) -> None:
        ensure(["etcd"])
        settings = (go / "last").read_text()
        assert settings.startswith(f"local off 0 {tmp_path}/cache/go/mod build -mod=readonly ")
        assert " -trimpath " in settings
        assert settings.endswith(" go.etcd.io/etcd/server/v3\n")

    def test_an_experiment_of_gos_is_of_the_tool_that_needs_it(
        self, go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOEXPERIMENT", "a-persons-own")
        for name, told in (("trivy", "jsonv2"), ("etcd", "a-persons-own")):
            ensure([name])
            assert (go / "experiment").read_text() == f"{told}\n"

    def test_files_of_a_module_are_kept_where_they_were(self, go: Path) -> None:
        ensure(["pulumi"])
        runner = module("pulumi") / "python/cmd/pulumi-language-python-exec"
        assert runner.read_text() == "runner"
        assert calls(go)["list"] == 1

    def test_gos_caches_are_dropped_once_all_is_made(self, go: Path, tmp_path: Path) -> None:
        ensure(["cni"])
        assert calls(go).total() == 1
        assert not (tmp_path / "cache/go").exists()

    def test_a_failing_tool_says_why_and_undoes_nothing_else(
        self, go: Path, tmp_path: Path
    ) -> None:
        (go / "break-loopback").touch()
        with pytest.raises(ToolchainError) as failure:
            ensure(["etcd", "cni"])
        said = str(failure.value).splitlines()
        assert said[0].startswith(f"building cni v1.8.0 failed (all of it in {tmp_path}/cache/logs")
        assert said[1:3] == ["27", "28"]
        assert said[-1] == "undefined: x"
        assert finished(tmp_path) == {"etcd"}
        assert (tmp_path / "cache/go").exists()
        (go / "break-loopback").unlink()
        ensure(["etcd", "cni"])
        assert finished(tmp_path) == {"etcd", "cni"}
        assert calls(go) == {"build": 3}

    def test_half_a_tool_that_a_killed_run_left_is_not_taken_for_whole(
        self, go: Path, tmp_path: Path
    ) -> None:
        (go / "hang").touch()
        run = subprocess.Popen([sys.executable, "-m", "lab.toolchain", "cni"], cwd=ROOT)
        compiler = wait_for_text(go / "pid")
        run.kill()
        run.wait()
        assert finished(tmp_path) == {".partial-cni"}
        wait_until(lambda: not Path(f"/proc/{compiler}").exists())
        (go / "hang").unlink()
        ensure(["cni"])
        assert finished(tmp_path) == {"cni"}
        assert binary("bridge").exists()

    def test_ctrl_c_leaves_no_half_made_tool(self, go: Path, tmp_path: Path) -> None:
        (go / "hang").touch()
        with subprocess.Popen([sys.executable, "-m", "lab.toolchain", "cni"], cwd=ROOT) as run:
            wait_for_text(go / "pid")
            run.send_signal(signal.SIGINT)
            assert run.wait(timeout=60) != 0
        assert finished(tmp_path) == set()

    def test_a_second_run_waits_and_finds_all_made(
        self, go: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        second = threading.Thread(target=ensure, args=[["cni"]])
        with alone(tmp_path / "cache/lock", print):
            second.start()
            second.join(timeout=0.3)
            assert second.is_alive()
            assert "waiting for another" in capsys.readouterr().err
            store.folder(catalog.tools()["cni"]).mkdir(parents=True)
        second.join(timeout=60)
        assert not second.is_alive()
        assert calls(go) == {}

    def test_without_go_one_is_asked_for(
        self, go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ToolchainError, match="no `go` on PATH"):
            ensure(["cni"])
        assert calls(go) == {}

    def test_what_is_there_needs_neither_go_nor_the_lock(
        self, go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ensure(["cni"])
        monkeypatch.setenv("PATH", str(tmp_path))
        with alone(tmp_path / "cache/lock", print):
            ensure(["cni"])
        assert calls(go) == {"build": 1}

    def test_a_full_disk_is_refused_before_anything_is_built(
        self, go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=9.4e9))
        with pytest.raises(ToolchainError, match=r"etcd, cni takes about 10 GB.* has 9\.4 GB free"):
            ensure(["etcd", "cni"])
        assert calls(go) == {}
        ensure(["cni"])
        assert calls(go).total() == 1

    def test_what_an_interrupted_run_fetched_counts_as_room(
        self, tmp_path: Path, go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e9 - 1000))
        fetched = tmp_path / "cache/go/mod/file"
        fetched.parent.mkdir(parents=True)
        fetched.write_bytes(b"x" * 999)
        with pytest.raises(ToolchainError, match="FERRY_CACHE"):
            ensure(["cni"])
        fetched.write_bytes(b"x" * 1000)
        ensure(["cni"])
        assert calls(go).total() == 1

    def test_room_is_asked_for_by_what_is_missing(self) -> None:
        assert [install.needed(count) / 1e9 for count in (1, 2, 4, 11)] == [5, 10, 20, 20]
