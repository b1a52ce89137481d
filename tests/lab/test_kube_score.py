"""kube-score over every manifest of a stack: nothing critical is left without its reason."""

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from infra.settings import parse
from lab import toolchain
from preview.reach import pins
from preview.record import record

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
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
    settings = parse((ROOT / f"Pulumi.{stack}.yaml").read_text(), stack=stack)
    recorded = record(stack, ROOT, pins=pins(settings))
    objects = [
        each["props"]
        for each in recorded
        if each["type"].startswith("kubernetes:") and "kind" in each["props"]
    ]
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(yaml.safe_dump_all(json.loads(json.dumps(objects, default=str))))
    scored = subprocess.run(
        [toolchain.binary("kube-score"), "score", "--output-format", "json", manifests],
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
    print(f"{stack}: {len(objects)} objects, {checks} checks, critical: {dict(found)}")
    assert checks > 300
    assert found.keys() == {**ACCEPTED, **more}.keys()
