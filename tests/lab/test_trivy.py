"""trivy over every manifest of a stack: nothing that it calls high or critical."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab import toolchain
from tests.lab.manifests import objects, written

# Trial, since the tool is built from 3,000 packages.
pytestmark = [pytest.mark.lab, pytest.mark.trial]

ACCEPTED = {
    "KSV-0036": "Prometheus finds what it scrapes by the API server, and has a token for that",
    "KSV-0039": "containers have limits of their own, each its own: none is the namespace's",
    "KSV-0040": "the same",
    "KSV-0125": "images are named by digest in the stack's own registry, which trivy cannot know",
}


@pytest.fixture(scope="module")
def trivy() -> Path:
    toolchain.ensure(["trivy"])
    return toolchain.binary("trivy")


def found(trivy: Path, manifests: list[dict[str, Any]], folder: Path) -> Counter[tuple[str, str]]:
    """How often it found what, by severity and number; with the checks that it comes with."""
    options = ("--skip-check-update", "--cache-dir", folder / "cache", "--format", "json")
    scanned = subprocess.run(
        [trivy, "config", *options, written(manifests, folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    (result,) = json.loads(scanned.stdout)["Results"]
    assert result["MisconfSummary"]["Successes"] > 100
    return Counter((each["Severity"], each["ID"]) for each in result["Misconfigurations"])


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_trivy_finds_nothing_high_and_the_rest_has_its_reason(
    stack: str, trivy: Path, tmp_path: Path
) -> None:
    seen = found(trivy, objects(stack), tmp_path)
    print(stack, dict(seen))
    assert {severity for severity, _ in seen} <= {"LOW", "MEDIUM"}
    assert {number for _, number in seen} == ACCEPTED.keys()


def test_trivy_notices_a_container_that_may_do_anything(trivy: Path, tmp_path: Path) -> None:
    manifests = objects("dev")
    workload = next(each for each in manifests if each["kind"] == "Deployment")
    container = workload["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"]["privileged"] = True
    seen = found(trivy, manifests, tmp_path)
    assert seen["HIGH", "KSV-0017"] == 1
