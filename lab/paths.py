"""Where the lab keeps things: a cache that may go at any time, and the state of each lab."""

import os
from pathlib import Path


def repository() -> Path:
    """The checkout this package runs from."""
    return Path(__file__).resolve().parents[1]


def cache() -> Path:
    """Tools and mirrored images, shared by every lab; deleting it costs time and nothing else."""
    return _place("FERRY_CACHE", "XDG_CACHE_HOME", ".cache")


def states() -> Path:
    """The folder that holds one state folder per lab."""
    return _place("FERRY_STATE", "XDG_STATE_HOME", ".local/state") / "labs"


def state(name: str) -> Path:
    """What the lab `name` runs and remembers: processes, volumes, keys, the Pulumi backend."""
    return states() / name


def engines() -> Path:
    """One file per lab: the variables that the engine needs for its stack."""
    return _place("FERRY_STATE", "XDG_STATE_HOME", ".local/state") / "engines"


def _place(own: str, base: str, default: str) -> Path:
    if given := os.environ.get(own):
        return Path(given).expanduser().absolute()
    parent = os.environ.get(base) or Path.home() / default
    return Path(parent).expanduser().absolute() / "ferry"
