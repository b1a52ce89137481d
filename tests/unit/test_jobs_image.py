"""The jobs' image: what goes into it, and that it is what the lock says."""

import re
import tomllib
from pathlib import Path
from typing import Any

from lab.standins import build_context

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
DOCKERFILE = APP / "jobs.Dockerfile"
REMEDY = "run `make lock`"


def pinned() -> dict[str, tuple[str, set[str]]]:
    text = (APP / "requirements-jobs.txt").read_text().replace("\\\n", "")
    found = {}
    for line in text.splitlines():
        named = re.match(r"([a-z0-9._-]+)==([^ ;]+)", line)
        assert named, line
        found[named[1]] = (named[2], set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", line)))
    return found


def locked() -> dict[str, dict[str, Any]]:
    lock = tomllib.loads((APP / "uv.lock").read_text())
    return {package["name"]: package for package in lock["package"]}


def test_every_requirement_is_the_locks_with_its_hashes() -> None:
    packages = locked()
    for name, (version, hashes) in pinned().items():
        package = packages[name]
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert version == package["version"], REMEDY
        assert hashes == {file["hash"] for file in files}, REMEDY


def test_everything_that_the_road_asks_for_is_there() -> None:
    groups = locked()["ferry-app"]["dev-dependencies"]
    wanted = {each["name"] for each in [*groups["train"], *groups["build-data"]]}
    assert wanted <= pinned().keys(), REMEDY


def test_nothing_that_only_tests_is_there() -> None:
    assert not {"pytest", "moto", "hypothesis", "ruff"} & pinned().keys()


def test_the_image_runs_as_nobody_and_takes_only_hashed_packages() -> None:
    dockerfile = DOCKERFILE.read_text()
    assert dockerfile.rstrip().endswith("USER 10001:10001")
    assert "--require-hashes" in dockerfile
    assert not re.search(r"^ADD |sudo|--trusted-host|:latest", dockerfile, flags=re.M)


def test_the_image_knows_the_commit_that_its_files_are_of() -> None:
    dockerfile = DOCKERFILE.read_text()
    assert "ARG REVISION\nENV FERRY_COMMIT=$REVISION\n" in dockerfile
    # After all that is dear: another commit of the same files builds nothing anew.
    assert dockerfile.rindex("COPY ") < dockerfile.index("ARG REVISION")


def test_the_image_gets_all_code_and_data_of_the_app_and_nothing_of_the_machine() -> None:
    rules = build_context.ignore_file(APP, DOCKERFILE)
    assert rules is not None
    ignore = build_context.Ignore(rules.read_text().splitlines())
    assert ignore.prunes  # else every preview looks at each file of the environments
    files = set(build_context.files(APP, ignore))
    ours = {
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        if not path.relative_to(APP).parts[0].startswith(".")
    }
    assert ours <= files
    assert {"requirements-jobs.txt", "data/lending-club/metadata.json"} <= files
    assert not [file for file in files if "__pycache__" in file or file.startswith(".")]
    assert not {"uv.lock", "pyproject.toml", "Dockerfile", "jobs.Dockerfile"} & files
