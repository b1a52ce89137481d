"""The engine's environment of each stack: stacks need not share one backend or one cluster."""

import json
import os
from pathlib import Path

from promotion.refusals import UsageRefused

FOLDER = "FERRY_ENGINES"
"""Names a folder that may hold `<stack>.json`: variables by name, as the engine needs them."""


def environment(stack: str) -> dict[str, str]:
    """This process's environment, overlaid with what the stack's file in FERRY_ENGINES says."""
    folder = os.environ.get(FOLDER)
    file = Path(folder, f"{stack}.json") if folder else None
    if file is None or not file.is_file():
        return dict(os.environ)
    try:
        given = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageRefused(f"{file} holds no variables: {error}") from error
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise UsageRefused(f"{file} is to hold one JSON object of texts")
    return {**os.environ, **given}
