"""What the `ferry` command prints: tables for people, one JSON document for programs."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.settings import Settings
from promotion.health import Health
from promotion.release import Release
from promotion.stack import Stack

_out = Console(highlight=False)
if not _out.is_terminal:
    _out.width = 120  # a pipe has no width: wide enough for a digest in one piece


def settings(stack: Stack, found: Settings, *, as_json: bool) -> None:
    """What a stack file declares."""
    if as_json:
        _document(found.model_dump(mode="json", by_alias=True))
        return
    pinned = {name: f"version {pin.version}" for name, pin in found.pins.items()}
    table = _table("model", "settings", "pin")
    for model in sorted({*found.platform.models, *pinned}):
        declared = "declared" if model in found.platform.models else "defaults"
        table.add_row(model, declared, pinned.get(model, "none"))
    _out.print(f"{stack.file.name} is valid")
    if table.rows:
        _out.print(table)


def release(made: Release, *, as_json: bool) -> None:
    """One release, field by field."""
    if as_json:
        _document(made.model_dump(mode="json", by_alias=True))
        return
    table = _table("release", f"{made.model} {made.version}")
    for field in ("run", "image", "weights", "features", "commit"):
        table.add_row(field, getattr(made, field))
    table.add_row("data", f"{made.data.key}\nversion {made.data.version_id}\n{made.data.sha256}")
    table.add_row("evidence", made.pin().evidence)
    _out.print(table)


def status(stack: Stack, models: dict[str, Health], *, as_json: bool) -> None:
    """URLs, pinned releases, and what each model really answers."""
    outputs = stack.outputs
    urls = {
        "MLflow": outputs.mlflow.url,
        "bucket": f"{outputs.bucket.endpoint or 's3:/'}/{outputs.bucket.name}",
        "registry": outputs.registry.url,
    }
    if as_json:
        found = {name: health.document() for name, health in models.items()}
        _document({"stack": stack.name, "urls": urls, "models": found})
        return

    table = _table("stack", stack.name)
    for name, url in urls.items():
        table.add_row(name, url)
    for name, health in models.items():
        table.add_section()
        table.add_row(name, health.served.url)
        pinned = health.served.release
        table.add_row("pinned", f"version {pinned.version}\n{pinned.image}")
        table.add_row("answers", _short(health.answers))
        if health.score is not None:
            table.add_row("scored loan", _short(health.score))
    _out.print(table)


def _short(answer: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(answer, str):
        return answer
    plain = {key: value for key, value in answer.items() if not isinstance(value, list | dict)}
    nested = answer.get("predictions")
    return json.dumps(nested[0] if nested else plain)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    return table


def _document(value: object) -> None:
    print(json.dumps(value, indent=2, sort_keys=True))
