"""The engine is freed of what a killed one left, and its failure is laid at the right door."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from promotion import engine, engines
from promotion.refusals import Conflict, DependencyDown, UsageRefused
from promotion.stack import Stack


def quiet(text: str) -> None:
    """Says nothing."""


def pulumi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Stack:
    """A stack whose engine is the given program; its arguments are kept in `asked`."""
    (folder / "bin").mkdir()
    command = folder / "bin" / "pulumi"
    record = "import sys, json, os; from pathlib import Path\n" + dedent(f"""
        here = Path({str(folder)!r})
        with (here / "asked").open("a") as asked: asked.write(" ".join(sys.argv[1:]) + "\\n")
        verb = sys.argv[1]
    """)
    command.write_text(f"#!{sys.executable}\n{record}{dedent(script)}")
    command.chmod(0o755)
    (folder / "asked").touch()
    (folder / "Pulumi.dev.yaml").touch()
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    return Stack("dev", folder)


def asked(folder: Path) -> list[str]:
    return [line.split()[0] for line in (folder / "asked").read_text().splitlines()]


LOCKED = """
if verb == "up" and "cancel" not in (here / "asked").read_text():
    print("error: the stack is currently locked by 1 lock(s).")
    print("  file:///x.json: created by ann@HOST (pid PID) at 2026-11-24T15:00:00Z")
    sys.exit(1)
"""


def test_the_lock_of_a_dead_engine_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    script = LOCKED.replace("HOST", socket.gethostname()).replace("PID", str(done.pid))
    assert engine.up(pulumi(tmp_path, monkeypatch, script), quiet).ok
    assert asked(tmp_path) == ["up", "cancel", "up"]


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_the_lock_of_a_living_engine_stays_and_names_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(engine, "_PATIENCE", 0)
    name = socket.gethostname() if host == "here" else host
    (tmp_path / "pulumi").symlink_to("/bin/sleep")
    with subprocess.Popen([str(tmp_path / "pulumi"), "60"]) as living:
        script = LOCKED.replace("HOST", name).replace("PID", str(living.pid))
        with pytest.raises(Conflict, match=rf"ann@{name} \(pid {living.pid}\)"):
            engine.up(pulumi(tmp_path, monkeypatch, script), quiet)
        living.kill()
    assert asked(tmp_path) == ["up"]


def test_what_a_killed_update_left_pending_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
    pending = [] if "refresh" in (here / "asked").read_text() else [{}]
    print(json.dumps({"deployment": {"pending_operations": pending}}))
    """
    stack = pulumi(tmp_path, monkeypatch, script)
    engine.clear_pending(stack, quiet)
    engine.clear_pending(stack, quiet)
    assert asked(tmp_path) == ["stack", "refresh", "stack"]
    assert "--clear-pending-creates" in (tmp_path / "asked").read_text()


def test_what_the_engine_complains_of_is_told_where_only_its_answer_was_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = pulumi(tmp_path, monkeypatch, 'print("{}")\nsys.exit("error: no passphrase")')
    with pytest.raises(DependencyDown, match="`pulumi stack` failed for dev: error: no passphrase"):
        engine.export(stack)


def test_a_failure_is_laid_at_the_door_of_the_longest_name_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        {"diagnosticEvent": {"severity": "error", "message": "verdict:\n no", "urn": urn}}
        for urn in (
            "urn:pulumi:dev::ferry::ferry:serving:ModelService$k::loan-risk-delivery-0a",
            "urn:pulumi:dev::ferry::ferry:jobs:ModelJobs$k::loan-train",
            "",
        )
    ]
    script = f"""
    log = Path(next(a for a in sys.argv if a.startswith("--event-log=")).partition("=")[2])
    log.write_text({"".join(json.dumps(each) + chr(10) for each in events)!r} + '{{"torn')
    sys.exit(1)
    """
    ran = engine.up(pulumi(tmp_path, monkeypatch, script), quiet)
    assert not ran.ok
    assert ran.against(["loan", "loan-risk", "other"]) == {"loan-risk": "verdict: no"}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('exited with 1: {"delivered":false,"reason":"answers flipped"} (more)', "answers flipped"),
        ('exited with 1: {"delivered":false,"reason":"cut sh', None),
        ('exited with 1: {"delivered":false}', None),
    ],
)
def test_the_verdict_alone_is_the_reason_where_it_is_there_whole(
    said: str, reason: str | None
) -> None:
    urn = "urn:pulumi:dev::ferry::ferry:serving:Delivery$k::loan-delivery"
    complaints = [engine.Complaint(urn=urn, text=text) for text in (said, "create failed")]
    ran = engine.Ran(ok=False, complaints=complaints, printed="")
    assert ran.against(["loan"]) == {"loan": reason or f"{said}; create failed"}


def test_an_engine_that_is_not_there_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyDown, match="make -s env"):
        engine.up(Stack("dev", tmp_path), quiet)


def test_each_stack_may_have_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERRY_ENGINES", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", "of this shell")
    (tmp_path / "prod.json").write_text(json.dumps({"KUBECONFIG": "of prod"}))
    assert engines.environment("dev")["KUBECONFIG"] == "of this shell"
    assert engines.environment("prod")["KUBECONFIG"] == "of prod"
    assert engines.environment("prod")["PATH"] == os.environ["PATH"]
    for text in ("[]", '{"a": 1}', "{"):
        (tmp_path / "prod.json").write_text(text)
        with pytest.raises(UsageRefused, match=r"prod\.json"):
            engines.environment("prod")
