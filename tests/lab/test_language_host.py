"""What a project sees of the stand-in for the Python language host, through the real engine."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import paths, toolchain
from tests.lab.project import Project

pytestmark = pytest.mark.lab


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def options(project: Project, text: str) -> None:
    """Sets the runtime options of the project."""
    path = project.folder / "Pulumi.yaml"
    runtime = f"runtime: {{name: python, options: {text}}}"
    path.write_text(path.read_text().replace("runtime: python", runtime))


def test_a_program_gets_its_configuration_its_secrets_and_its_place(project: Project) -> None:
    project.run("config", "set", "size", "3")
    project.run("config", "set", "--secret", "password", "hunter2")
    project.program(
        """
        import os, pulumi
        import beside
        config = pulumi.Config()
        pulumi.export("size", config.require_int("size"))
        pulumi.export("password", config.require_secret("password"))
        pulumi.export("names", [pulumi.get_project(), pulumi.get_stack(), beside.NAME])
        pulumi.export("here", os.getcwd())
        pulumi.export("dry", pulumi.runtime.is_dry_run())
        """
    )
    (project.folder / "beside.py").write_text("NAME = 'beside'\n")
    project.up()
    assert project.output("size") == 3
    assert project.output("password") == "hunter2"
    assert project.output("names") == ["trial", "t", "beside"]
    assert project.output("here") == str(project.folder)
    assert project.output("dry") is False
    assert "hunter2" not in project.state()


def test_bytecode_is_cached_whatever_the_shell_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "beside.py").write_text("")
    project.program("import beside").up()
    assert list((project.folder / "__pycache__").glob("beside.*.pyc"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (project.folder / "after.py").write_text("")
    project.program("import after")
    environment = {**project.environment(), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [toolchain.binary("pulumi"), "up", "--yes", "--skip-preview", "--non-interactive"]
    subprocess.run(command, cwd=project.folder, env=environment, check=True, capture_output=True)
    assert list((project.folder / "__pycache__").glob("after.*.pyc"))


def test_a_failing_program_fails_with_its_own_traceback(project: Project) -> None:
    printed = project.program("raise ValueError('too small')").fail("preview")
    assert "ValueError: too small" in printed
    assert "__main__.py" in printed


def test_what_a_program_refuses_shows_as_it_is_written(project: Project) -> None:
    printed = project.program("import pulumi\nraise pulumi.RunError('set ferry:size')").fail(
        "preview"
    )
    assert "error: set ferry:size" in printed
    assert "Traceback" not in printed


def test_a_failing_resource_shows_no_traceback(project: Project) -> None:
    program = "import pulumi_random as r\nr.RandomString('s', length=0)\n"
    printed = project.program(program).fail("up", "--yes", "--skip-preview")
    assert "KeyboardInterrupt" not in printed


@pytest.mark.parametrize(
    ("chosen", "folder", "file", "text"),
    [
        ("{virtualenv: own}", "own", "requirements.txt", "pulumi==3.272.0\n"),
        (
            "{toolchain: uv}",
            ".venv",
            "pyproject.toml",
            "[project]\nname = 'trial'\nversion = '1'\nrequires-python = '>=3.11'\n"
            "dependencies = ['pulumi==3.272.0']\n",
        ),
    ],
)
def test_a_program_runs_in_the_virtual_environment_of_its_project(
    project: Project,
    chosen: str,
    folder: str,
    file: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uv = subprocess.run(
        ["lab/uv"], cwd=paths.repository(), capture_output=True, text=True, check=True
    ).stdout
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{Path(uv.strip()).parent}")
    options(project, chosen)
    printed = project.program("").fail("preview")
    assert f"the virtual environment {project.folder}/{folder} has no bin/python" in printed
    assert "run `pulumi install`" in printed
    (project.folder / file).write_text(text)
    installed = project.run("install")
    assert installed.code == 0, installed.text
    program = "import pulumi, sys\npulumi.export('prefix', sys.prefix)\n"
    project.program(program).up()
    assert project.output("prefix") == str(project.folder / folder)


def test_a_toolchain_that_is_not_covered_is_refused_by_name(project: Project) -> None:
    options(project, "{toolchain: poetry}")
    assert "toolchain: poetry is not covered" in project.program("").fail("preview")


def test_about_tells_the_interpreter_and_the_dependencies(project: Project) -> None:
    about = json.loads(project.run("about", "--json").text.partition("{")[2].join(["{", ""]))
    assert about["runtime"]["language"] == "python"
    assert "pulumi" in [each["name"].lower() for each in about["dependencies"]]


def test_a_policy_pack_runs_in_its_own_folder_and_stops_a_preview(
    project: Project, tmp_path: Path
) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (pack / "words.txt").write_text("no short strings")
    (pack / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def rule(args, report):\n"
        "    if args.props.get('length', 9) < 8:\n"
        "        report(open('words.txt').read())\n"
        "PolicyPack('words', policies=[ResourceValidationPolicy('length', 'Length', rule,\n"
        "    EnforcementLevel.MANDATORY)])\n"
    )
    program = "import pulumi_random as r\nr.RandomString('s', length={})\n"
    printed = project.program(program.format(4)).fail("preview", "--policy-pack", str(pack))
    assert "no short strings" in printed
    assert project.program(program.format(8)).run("preview", "--policy-pack", str(pack)).code == 0


def test_an_interrupted_run_leaves_no_process(project: Project) -> None:
    mark = project.folder / "pid"
    project.program(f"import os, time\nopen('{mark}', 'w').write(str(os.getpid()))\ntime.sleep(99)")
    engine = subprocess.Popen(
        [toolchain.binary("pulumi"), "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _until(lambda: mark.exists() and mark.read_text() != "")
    child = int(mark.read_text())
    engine.send_signal(signal.SIGINT)
    assert engine.wait(30) != 0
    _until(lambda: not _alive(child))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.1)
