"""kube-score over every manifest of a stack: nothing critical is left without its reason."""

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from lab import toolchain
from tests.lab.manifests import objects, written

pytestmark = pytest.mark.lab

CRITICAL = 1
ACCEPTED = {
    "container-image-pull-policy": "an image is named by its digest: what a node has is what the "
    "registry has, and a rollback goes while the registry is down",
    "pod-probes-identical": "one endpoint tells of health, and asks nobody else: a pod that fails "
    "it gets neither requests nor time",
    "networkpolicy-targets-pod": "pods that an operator makes, of Prometheus and of Alertmanager",
    "service-targets-pod": "the same",
    "statefulset-has-servicename": "one replica each: nobody asks for a replica by its name",
}
ONE_REPLICA = {"deployment-has-poddisruptionbudget": "a budget would only block the node's drain"}


@pytest.mark.parametrize(("stack", "more"), [("dev", ONE_REPLICA), ("prod", {})])
def test_what_kube_score_calls_critical_has_its_reason(
    stack: str, more: dict[str, str], tmp_path: Path
) -> None:
    toolchain.ensure(["kube-score"])
    manifests = objects(stack)
    score = (toolchain.binary("kube-score"), "score", "--output-format", "json")
    scored = subprocess.run(
        [*score, written(manifests, tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    found, checks = defaultdict(list), 0
    for each in json.loads(scored.stdout):
        for check in each["checks"]:
            checks += not check["skipped"]
            if check["grade"] == CRITICAL and not check["skipped"]:
                found[check["check"]["id"]].append(each["object_name"])
    print(f"{stack}: {len(manifests)} objects, {checks} checks, critical: {dict(found)}")
    assert checks > 300
    assert found.keys() == {**ACCEPTED, **more}.keys()
