"""Every object of Kubernetes' that a stack's program registers, as files that scanners read."""

import json
from pathlib import Path
from typing import Any

import yaml

from infra.settings import parse
from preview.reach import pins
from preview.record import record

ROOT = Path(__file__).parents[2]


def objects(stack: str) -> list[dict[str, Any]]:
    """As the engine is given them; what upstream's files hold is left out."""
    settings = parse((ROOT / f"Pulumi.{stack}.yaml").read_text(), stack=stack)
    recorded = record(stack, ROOT, pins=pins(settings))
    found = [
        each["props"]
        for each in recorded
        if each["type"].startswith("kubernetes:") and "kind" in each["props"]
    ]
    return json.loads(json.dumps(found, default=str))


def written(found: list[dict[str, Any]], folder: Path) -> Path:
    """One file with all of them."""
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(found))
    return file
