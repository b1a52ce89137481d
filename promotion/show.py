"""What the `ferry` command prints: tables for people, one JSON document for programs."""

import json
from typing import Any

from infra.outputs import Site, StackOutputs
from infra.settings import Settings
from promotion.health import Health
from promotion.release import Release
from promotion.stack import Stack
from promotion.tables import document, out, row, table


def settings(stack: Stack, found: Settings, *, as_json: bool) -> None:
    """What a stack file declares."""
    if as_json:
        document(found.model_dump(mode="json", by_alias=True))
        return
    pinned = {name: f"version {pin.version}" for name, pin in found.pins.items()}
    shown = table("model", "settings", "pin")
    for model in sorted({*found.platform.models, *pinned}):
        declared = "declared" if model in found.platform.models else "defaults"
        row(shown, model, declared, pinned.get(model, "none"))
    out.print(f"{stack.file.name} is valid")
    if shown.rows:
        out.print(shown)


def release(made: Release, *, as_json: bool) -> None:
    """One release, field by field."""
    if as_json:
        document(made.model_dump(mode="json", by_alias=True))
        return
    shown = table("release", f"{made.model} {made.version}")
    for field in ("run", "image", "weights", "signer", "features", "commit"):
        row(shown, field, getattr(made, field))
    row(shown, "data", f"{made.data.key}\nversion {made.data.version_id}\n{made.data.sha256}")
    row(shown, "evidence", made.pin().evidence)
    out.print(shown)


def status(stack: Stack, models: dict[str, Health], *, as_json: bool) -> None:
    """URLs, pinned releases, and what each model really answers."""
    outputs = stack.outputs
    urls = {
        "MLflow": outputs.mlflow.url,
        "bucket": f"{outputs.bucket.endpoint or 's3:/'}/{outputs.bucket.name}",
        "registry": outputs.registry.url,
        **{name: site.url for name, site in _sites(outputs).items()},
    }
    if as_json:
        found = {name: health.document() for name, health in models.items()}
        document({"stack": stack.name, "urls": urls, "models": found})
        return

    shown = table("stack", stack.name)
    for name, url in urls.items():
        row(shown, name, url)
    for name, health in models.items():
        shown.add_section()
        row(shown, name, health.served.url)
        pinned = health.served.release
        row(shown, "pinned", f"version {pinned.version}\n{pinned.image}")
        row(shown, "answers", _short(health.answers))
        if health.score is not None:
            row(shown, "scored loan", _short(health.score))
    out.print(shown)


def _sites(outputs: StackOutputs) -> dict[str, Site]:
    """Where a stack is watched, as far as it is."""
    sites = {
        "Grafana": outputs.grafana,
        "Prometheus": outputs.prometheus,
        "Alertmanager": outputs.alertmanager,
    }
    return {name: site for name, site in sites.items() if site is not None}


def _short(answer: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(answer, str):
        return answer
    plain = {key: value for key, value in answer.items() if not isinstance(value, list | dict)}
    nested = answer.get("predictions")
    return json.dumps(nested[0] if nested else plain)
