"""What must be known of a Dockerfile before buildah reads it."""

import json
import re
from collections.abc import Sequence
from typing import Final

from lab.standins import reference

# What OCI's image format has no place for.
_DOCKER_ONLY: Final = re.compile(r"\s*(SHELL|HEALTHCHECK|ONBUILD)\s", re.IGNORECASE)
_FROM: Final = re.compile(
    r"(?P<before>\s*FROM\s+(?:--\S+\s+)*)(?P<image>\S+)(?P<after>(?:\s+AS\s+(?P<stage>\S+))?\s*)",
    re.IGNORECASE,
)


def image_format(text: str) -> str:
    """The format to build in: `oci`, whose configuration depends on the content alone, or `docker`.

    The latter holds random ids, so that a build from an empty cache has another digest each time.
    """
    lines = _instructions(text)
    return "docker" if any(first and _DOCKER_ONLY.match(line) for line, first in lines) else "oci"


def qualified(text: str) -> str:
    """The Dockerfile with the base images' names completed as docker completes them.

    buildah takes an incomplete name for any image here whose name ends like it.
    """
    stages: set[str] = set()
    made = []
    for line, first in _instructions(text):
        if first and (found := _FROM.fullmatch(line)):
            image = found["image"]
            if image not in {"scratch", *stages} and "$" not in image:
                line = f"{found['before']}{reference.parse(image).tagged}{found['after']}"
            if found["stage"]:
                stages.add(found["stage"])
        made.append(line)
    return "\n".join(made)


def labelled(text: str, labels: Sequence[str], target: str | None) -> str:
    """The Dockerfile with `labels` (key=value each) as instructions at the end of the built stage.

    As an option, buildah keeps a label in the cached layer, and the next build of the same content
    gets it without asking.
    """
    if not labels:
        return text
    lines = _instructions(text)
    stages = [
        (place, found["stage"])
        for place, (line, first) in enumerate(lines)
        if first and (found := _FROM.fullmatch(line))
    ]
    ends = [place for place, _ in stages[1:]] + [len(lines)]
    names = [name or str(number) for number, (_, name) in enumerate(stages)]
    end = ends[names.index(target)] if target in names else len(lines)
    pairs = [each.partition("=") for each in labels]
    added = [f"LABEL {_quoted(key)}={_quoted(value)}" for key, _, value in pairs]
    written = [line for line, _ in lines]
    return "\n".join([*written[:end], *added, *written[end:]])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")


def _instructions(text: str) -> list[tuple[str, bool]]:
    """The lines, each with whether an instruction begins there."""
    found, continued = [], False
    for line in text.split("\n"):
        found.append((line, not continued))
        if not line.lstrip().startswith("#"):
            continued = line.rstrip().endswith("\\")
    return found
