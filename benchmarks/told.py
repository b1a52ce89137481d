"""How the benchmarks of deliveries tell what they saw: a table in Markdown, and a JSON document."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown, one line a row; None is an empty cell."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def write(found: Any, folder: Path | None, name: str) -> None:  # noqa: ANN401 - what JSON can say
    """Leave `name`.json in the folder, if one is given."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")


def load() -> str:
    """The machine's load average over 1, 5 and 15 minutes, and its cores."""
    averages = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{averages} on {os.cpu_count()} cores"


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
