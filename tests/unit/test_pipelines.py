"""The pipelines: valid, pinned, with few rights, and thin callers of the same commands."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
# Words of GitLab's own at the top level, beside the jobs.
_NO_JOBS = {"stages", "workflow", "default", "variables"}
# Whoever opens a pull request chooses these: as part of a script they would be run.
_UNTRUSTED = re.compile(r"\$\{\{\s*(github\.(event|head_ref|base_ref|actor)|inputs)\b")


def loaded(path: Path) -> dict[str, Any]:
    reader = YAML(typ="safe", pure=True)
    reader.constructor.add_constructor("!reference", lambda loader, node: [])
    return reader.load(path.read_text())


def jobs_of_github() -> dict[str, dict[str, Any]]:
    return {
        f"{path.stem}/{name}": job
        for path in WORKFLOWS
        for name, job in loaded(path)["jobs"].items()
    }


def commands_of_github() -> set[str]:
    steps = [step for job in jobs_of_github().values() for step in job["steps"]]
    return commands("\n".join(step["run"] for step in steps if "run" in step))


def commands_of_gitlab() -> set[str]:
    jobs = [
        job
        for name, job in loaded(ROOT / ".gitlab-ci.yml").items()
        if name not in _NO_JOBS and not name.startswith(".")
    ]
    lines = [
        line for job in jobs for key in ("script", "after_script") for line in job.get(key, [])
    ]
    return commands("\n".join(lines))


def commands(script: str) -> set[str]:
    """The targets of make, and the scripts of ours, that a script calls."""
    found = re.findall(r"\bmake (?:-s )?((?:[a-z-]+ )*[a-z-]+)", script)
    targets = {f"make {target}" for each in found for target in each.split()}
    return targets | ({".ci/run"} if ".ci/run" in script else set())


def test_the_schemas_of_both_systems_are_kept() -> None:
    for schema, files in (
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-actions", ACTIONS),
        ("vendor.gitlab-ci", [ROOT / ".gitlab-ci.yml"]),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema,
             "--data-transform", "gitlab-ci", *map(str, files)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_action_of_others_is_pinned_by_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+(\.\d+\.\d+)?", comment), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_a_job_names_what_more_it_needs(path: Path) -> None:
    workflow = loaded(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        more = set(job.get("permissions", {}).items()) - {("contents", "read")}
        # A token for a cloud or a right to write is for jobs that have an environment's reviewers,
        # and for the one that comments.
        assert not more or "environment" in job or more == {("pull-requests", "write")}, name
        assert "timeout-minutes" in job, name


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_no_script_is_put_together_from_what_a_stranger_wrote(path: Path) -> None:
    document = loaded(path)
    steps = document.get("runs", {}).get("steps", [])
    steps += [step for job in document.get("jobs", {}).values() for step in job["steps"]]
    assert [step["run"] for step in steps if _UNTRUSTED.search(step.get("run", ""))] == []


def test_no_pipeline_holds_a_long_lived_secret() -> None:
    for path in (*WORKFLOWS, *ACTIONS, ROOT / ".gitlab-ci.yml"):
        text = path.read_text()
        assert "secrets." not in text, path.name
        assert not re.search(
            r"AKIA[0-9A-Z]{16}|AWS_SECRET_ACCESS_KEY|PULUMI_CONFIG_PASSPHRASE", text
        )


def test_a_checkout_keeps_its_token_only_where_the_job_pushes() -> None:
    for name, job in jobs_of_github().items():
        (checkout,) = (step for step in job["steps"] if "actions/checkout@" in step.get("uses", ""))
        kept = checkout.get("with", {}).get("persist-credentials", True)
        assert kept == (job.get("permissions", {}).get("contents") == "write"), name


def test_both_systems_call_the_same_commands_and_make_knows_them() -> None:
    assert commands_of_github() == commands_of_gitlab()
    rules = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.M)
    targets = {f"make {target}" for names in rules for target in names.split()}
    assert commands_of_github() - {".ci/run"} <= targets


def test_the_whole_road_is_in_the_pipelines() -> None:
    wanted = "check unit validate-subset preview-offline preview release deliver promote rollback"
    wanted += " retrain drift keep"
    assert {f"make {target}" for target in wanted.split()} | {".ci/run"} == commands_of_github()


def test_an_update_of_a_stack_is_never_interrupted_by_the_next() -> None:
    for path in WORKFLOWS:
        workflow = loaded(path)
        writes = re.search(r"make (deliver|promote|rollback|release|retrain)", path.read_text())
        if writes:
            assert workflow["concurrency"]["cancel-in-progress"] is False, path.name
