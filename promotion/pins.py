"""Pins in a stack file: read, and moved with every comment kept."""

import os
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from infra.settings import Pin
from promotion.locks import held
from promotion.refusals import Conflict

KEY = "ferry:pins"


def move(path: Path, model: str, pin: Pin | None, *, expected: Pin | None) -> bool:
    """Make `pin` what the stack file says of `model`; None takes the pin out.

    `expected` is the pin that the caller decided on: should the file hold another one by now,
    nothing is written and `Conflict` is raised. Returns False when there was nothing to do.
    The file is replaced whole, so an interruption leaves the old one or the new one.
    """
    with held(path.parent):
        yaml = _round_trip()
        text = path.read_text()
        document = yaml.load(text)
        current = _pin(document, model)
        if current == pin:
            return False
        if current != expected:
            raise Conflict(
                f"{path.name}: {KEY}.{model} moved to {_name(current)} while this command decided "
                f"on {_name(expected)}; look at the new pin, then run the command again"
            )
        _set(document["config"], model, pin)
        rendered = StringIO()
        yaml.dump(document, rendered)
        _replace(path, rendered.getvalue())
    return True


def read(path: Path, model: str) -> Pin | None:
    """The pin that the stack file holds for `model`, if any."""
    return _pin(_round_trip().load(path.read_text()), model)


def _pin(document: dict[str, Any], model: str) -> Pin | None:
    raw = (document["config"].get(KEY) or {}).get(model)
    return None if raw is None else Pin.model_validate(raw)


def _set(config: dict[str, Any], model: str, pin: Pin | None) -> None:
    if pin is None:
        config[KEY].pop(model)
        if not config[KEY]:
            del config[KEY]
        return
    if config.get(KEY) is None:
        config[KEY] = {}
    config[KEY][model] = pin.model_dump(mode="json", by_alias=True)


def _name(pin: Pin | None) -> str:
    return "no pin" if pin is None else f"version {pin.version} ({pin.image[:19]}…)"


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a folded digest is still valid YAML, and a needless diff
    return yaml


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as draft:
        try:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
            os.chmod(draft.name, path.stat().st_mode)
            os.replace(draft.name, path)
        except BaseException:
            os.unlink(draft.name)
            raise
