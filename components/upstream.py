"""Kinds that upstream defines for its controllers: vendored."""

import os
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

FOLDER = Path(__file__).parent / "upstream"


def kinds(name: str, opts: pulumi.ResourceOptions) -> k8s.yaml.v2.ConfigGroup:
    """The definitions in `upstream/<name>/`; objects of these kinds depend on them.

    Paths in state are relative to the program, so that they are the same on every machine.
    """
    files = sorted((FOLDER / name).glob("*.yaml"))
    return k8s.yaml.v2.ConfigGroup(name, files=[os.path.relpath(file) for file in files], opts=opts)
