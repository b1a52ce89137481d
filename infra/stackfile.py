"""A stack file's text: its `config`, and the line that each key stands on."""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from infra.complaints import Complaint, Path, SettingsError


def read(text: str, file: str) -> Mapping[str, Any]:
    """The `config` mapping of a stack file. Raises SettingsError where there is none."""
    try:
        document = YAML(typ="safe", pure=True).load(text)
    # The reader raises whatever a scalar's own constructor raises: ValueError for 2026-99-99.
    except Exception as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        problem = (isinstance(error, MarkedYAMLError) and error.problem) or type(error).__name__
        line = mark.line + 1 if mark else None
        raise SettingsError(
            [Complaint((), f"no YAML ({problem})", "a stack file", file=file, line=line)]
        ) from None
    config = document.get("config") if isinstance(document, Mapping) else None
    if not isinstance(config, Mapping):
        raise SettingsError([Complaint((), "no mapping", "settings under config:", file=file)])
    return config


class Lines:
    """Where the keys of a stack file stand; knows nothing of a text that is no YAML."""

    def __init__(self, text: str) -> None:
        try:
            document = YAML(typ="safe", pure=True).compose(text)
        except Exception:  # as in read: the complaints are worth more than their lines
            document = None
        self._config = _step(document, "config")

    def of(self, path: Path) -> int | None:
        """The line of the key at `path`, or of the nearest key above it; counted from 1."""
        if self._config is None:
            return None
        key, node = self._config
        for part in path:
            found = _step(node, part)
            if found is None:
                break
            key, node = found
        return key.start_mark.line + 1


def _step(node: Node | None, part: str | int) -> tuple[Node, Node] | None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
