"""The command: `python -m app.watch --model NAME`, in a pod or once for people."""

import asyncio
import dataclasses
import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import typer

from app import console, definition
from app.serving import logs
from app.watch import objects, process, response
from app.watch.metrics import Metrics
from app.watch.tick import Tick, Watch


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The watch's environment, beside what names the bucket; times in seconds."""

    version: int
    tick: float
    window: float
    cooldown: float
    namespace: str
    port: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the environment; raises `console.Refused` for what is missing or no number."""
        try:
            found = cls(
                version=int(environment["MODEL_VERSION"]),
                tick=float(environment.get("WATCH_TICK_SECONDS", "60")),
                window=float(environment.get("WATCH_WINDOW_SECONDS", "3600")),
                cooldown=float(environment.get("RETRAIN_COOLDOWN_SECONDS", "86400")),
                namespace=environment.get("JOBS_NAMESPACE", ""),
                port=int(environment.get("PORT", "8080")),
            )
        except KeyError as error:
            raise console.Refused("MODEL_VERSION is not set; the pinned release has it") from error
        except ValueError as error:
            raise console.Refused(
                "MODEL_VERSION, WATCH_TICK_SECONDS, WATCH_WINDOW_SECONDS, RETRAIN_COOLDOWN_SECONDS "
                f"and PORT must be numbers: {error}"
            ) from error
        # Written so that NaN is refused too.
        if not (found.version >= 1 and found.tick > 0 and found.window >= 60):
            raise console.Refused(
                f"wanted are a version from 1, ticks above 0 s and windows of 60 s at least; "
                f"found are {found.version}, {found.tick:g} and {found.window:g}"
            )
        return found


def document(watch: Watch, tick: Tick) -> dict[str, Any]:
    """What a tick found, as JSON-like data; a figure that there is none of is null."""
    window = tick.window
    return {
        "model": watch.model.name,
        "version": watch.version,
        "predictions": watch.memory.size[0],
        "outcomes": watch.memory.size[1],
        "measures": {
            str(version): {
                name: None if math.isnan(value) else value
                for name, value in dataclasses.asdict(measures).items()
            }
            for version, measures in tick.measures.items()
        },
        "window": {
            "ended": window.ended,
            "rows": window.drift.rows,
            "verdict": window.drift.verdict,
            "drifted": list(window.drift.drifted),
        }
        if window
        else None,
        "broken": dict(tick.broken),
        "failed": list(tick.failed),
    }


def main(
    model: definition.Name,
    once: Annotated[
        bool, typer.Option("--once", help="Look once, start nothing, and print what was found.")
    ] = False,
    as_json: console.AsJson = False,
) -> None:
    """Watch one model: outcomes, accuracy, drift, and retraining when the rule says so.

    With --once it exits with 5 when a step failed.
    """
    with console.exit_codes(OSError, objects.BaseError):
        found = definition.find(model)
        settings = Settings.read(os.environ)
        bucket = objects.store(os.environ)
        if once:
            watch = Watch(bucket, found, settings.version, settings.window, response.none)
            tick = watch.tick(time.time())
            console.emit(document(watch, tick), as_json)
            raise typer.Exit(5 if tick.failed else 0)
        if not settings.namespace:
            raise console.Refused("JOBS_NAMESPACE is not set; retraining Jobs are started there")
        respond = response.by_jobs(bucket, found, settings.cooldown, settings.namespace)
        watch = Watch(bucket, found, settings.version, settings.window, respond)
        metrics = Metrics(found.name, settings.version)
        logging.basicConfig(handlers=[logs.JsonHandler()], level=logging.WARNING)
        asyncio.run(process.serve(watch, metrics, settings.tick, settings.port))
        logs.drain()
        # A call of the bucket's may still run and would hold the interpreter; all that was answered
        # is in the bucket.
        os._exit(0)


if __name__ == "__main__":
    typer.run(main)
