"""What the `ferry` command prints: tables for people, one JSON document for programs."""

import json
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from infra.settings import Settings
from promotion.release import Release
from promotion.stack import Stack

_out = Console(highlight=False)
if not _out.is_terminal:
    _out.width = 120  # a pipe has no width: wide enough for a digest in one piece
_TIMEOUT = 10  # seconds


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


def status(stack: Stack, score: Path | None, *, as_json: bool) -> None:
    """URLs, pinned releases, and what each model really answers."""
    outputs = stack.outputs
    urls = {
        "MLflow": outputs.mlflow.url,
        "bucket": f"{outputs.bucket.endpoint or 's3:/'}/{outputs.bucket.name}",
        "registry": outputs.registry.url,
    }
    body = None if score is None else json.loads(score.read_text())
    models: dict[str, dict[str, Any]] = {}
    for name, model in outputs.models.items():
        models[name] = {
            "url": model.url,
            "pinned": {"version": model.release.version, "image": model.release.image},
            "answers": _answer("GET", f"{model.url}/v2/models/{name}"),
        }
        if body is not None:
            models[name]["score"] = _answer("POST", f"{model.url}/predict", body)
    if as_json:
        _document({"stack": stack.name, "urls": urls, "models": models})
        return

    table = _table("stack", stack.name)
    for name, url in urls.items():
        table.add_row(name, url)
    for name, facts in models.items():
        table.add_section()
        table.add_row(name, facts["url"])
        table.add_row("pinned", f"version {facts['pinned']['version']}\n{facts['pinned']['image']}")
        table.add_row("answers", _short(facts["answers"]))
        if "score" in facts:
            table.add_row("scored loan", _short(facts["score"]))
    _out.print(table)


def _answer(method: str, url: str, body: Any = None) -> Any:  # noqa: ANN401 - any JSON
    """The parsed answer, or a sentence saying why there is none."""
    try:
        answer = requests.request(method, url, json=body, timeout=_TIMEOUT)
        return answer.json() if answer.ok else f"{answer.status_code}: {answer.text[:200]}"
    except (requests.RequestException, ValueError) as error:
        return f"no answer: {error}"


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
