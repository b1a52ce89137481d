"""Which models go back to a release that served before: so says the ledger beside the stack file.

Nobody judges those. What is gone back from may be what is wrong, and no measure of the way back.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.settings import Pin

_NAMES = ("version", "image", "weights", "evidence")


def going_back(ledger: Path, pins: Mapping[str, Pin]) -> frozenset[str]:
    """The models whose pin a rollback moved last, to what is pinned now.

    A line that is no record says nothing: that model's release is judged as any other.
    """
    moved: dict[str, Any] = {}
    for line in ledger.read_bytes().splitlines() if ledger.is_file() else ():
        try:
            record = json.loads(line)
            if record["outcome"] in ("moved", "rolled-back") and record["action"] != "delete":
                moved[record["model"]] = record
        except (ValueError, KeyError, TypeError):
            continue
    return frozenset(
        model
        for model, pin in pins.items()
        if model in moved and moved[model]["action"] == "rollback"
        if moved[model].get("after") == {name: getattr(pin, name) for name in _NAMES}
    )
