"""A stack's state that the engine cannot read: which file it is, and the newest whole copy."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ruamel.yaml import YAML

_UNREADABLE = "failed to load checkpoint"


def remedy(said: str, stack: str, directory: Path, environment: Mapping[str, str]) -> str:
    """What to do about a state that the engine says it cannot read; empty for any other words.

    The engine keeps a copy of each state that it replaces, and never writes over one that it
    could not read. Elsewhere than in a folder only that backend can tell of copies.
    """
    if _UNREADABLE not in said:
        return ""
    project = YAML(typ="safe").load((directory / "Pulumi.yaml").read_text())
    backend = environment.get("PULUMI_BACKEND_URL") or (project.get("backend") or {}).get("url", "")
    text = f"; the state of {stack} is no whole JSON, and nothing was changed. "
    if not backend.startswith("file://"):
        return f"{text}Put back the copy that {backend or 'the backend'} keeps, and run this again"
    kept = Path(unquote(urlsplit(backend).path)).expanduser() / ".pulumi"
    file = kept / "stacks" / project["name"] / f"{stack}.json"
    if _is_whole(file):
        return (
            f"; the state of {stack} is whole. What the engine writes beside it is not, as when it "
            f"is killed there, and holds nothing that it needs: `rm {file}.attrs`, and run this "
            "again. With `?metadata=skip` at the end of the backend's URL it is not written"
        )
    whole = [copy for copy in _copies(kept, project["name"], stack) if _is_whole(copy)]
    if not whole:
        return f"{text}The file is {file}, and there is no whole copy of it in {kept}"
    newest = max(whole, key=lambda copy: copy.stat().st_mtime)
    made = datetime.fromtimestamp(newest.stat().st_mtime, UTC)
    return (
        f"{text}The newest whole copy is of {made:%FT%TZ}: `cp {newest} {file}`, then "
        f"`pulumi refresh --stack {stack}` for what came after it, and run this again"
    )


def _copies(kept: Path, project: str, stack: str) -> Iterator[Path]:
    yield kept / "stacks" / project / f"{stack}.json.bak"
    yield from (kept / "backups" / project / stack).glob(f"{stack}.*.json")
    yield from (kept / "history" / project / stack).glob("*.checkpoint.json")


def _is_whole(file: Path) -> bool:
    try:
        return "checkpoint" in json.loads(file.read_text())
    except (OSError, ValueError, TypeError):
        return False
