"""The part of Go's templates that scripts use on what `docker` prints."""

import json
import re
from typing import Any, Final

_INDEX: Final = re.compile(r"\{\{\s*index \.([\w.]+) (\d+)\s*\}\}")
_FIELD: Final = re.compile(r"\{\{\s*(json )?\.([\w.]*)\s*\}\}")


def render(template: str, document: dict[str, Any]) -> str:
    """`.A.B`, `json .A` or `index .A N` of a document. Raises ValueError, naming what is wrong."""
    if found := _INDEX.fullmatch(template.strip()):
        values = _field(document, found[1])
        position = int(found[2])
        if not isinstance(values, list) or position >= len(values):
            raise ValueError(f"template {template}: there is no item {position} in .{found[1]}")
        return str(values[position])
    if found := _FIELD.fullmatch(template.strip()):
        value = _field(document, found[2])
        return value if isinstance(value, str) and not found[1] else json.dumps(value)
    raise ValueError(f"the template {template!r} is not covered by the lab's stand-in")


def _field(document: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - a JSON value
    value: Any = document
    for key in filter(None, path.split(".")):
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"template: there is no .{path}")
        value = value[key]
    return value
