"""Run the server of one model version: verify, load behind the probes, serve, drain."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import uvicorn
import uvloop
from prometheus_client import Counter

from app import weights
from app.serving import connection, edge, grpc_server, logs, model, requestlog, verify, web
from app.serving.metrics import Metrics
from app.serving.service import OnlineRows, Service

UNFIT = 3
"""Exit code for a model that must not serve."""

_IN_FLIGHT_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The server's environment; the four MODEL_ values of a release are required."""

    name: str
    version: str
    weights: str
    signer: str
    folder: Path
    signature: Path
    port: int
    grpc_port: int
    online_store: str | None
    """Connection string of the store of features by entity id; without one there are no ids."""
    drain_seconds: float
    """How long requests are still accepted after SIGTERM, while the endpoints forget us."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the environment.

        Raises `model.Unfit` naming every variable that is missing, or the one that is no number.
        """
        required = ("MODEL_NAME", "MODEL_VERSION", "MODEL_WEIGHTS", "MODEL_SIGNER")
        missing = [name for name in required if not environment.get(name)]
        if missing:
            raise model.Unfit(f"{', '.join(missing)} not set; the release gives these values")
        try:
            return cls(
                name=environment["MODEL_NAME"],
                version=environment["MODEL_VERSION"],
                weights=environment["MODEL_WEIGHTS"],
                signer=environment["MODEL_SIGNER"],
                folder=Path(environment.get("MODEL_FOLDER", weights.MODEL_FOLDER)),
                signature=Path(environment.get("MODEL_SIGNATURE", weights.SIGNATURE_FOLDER)),
                port=int(environment.get("PORT", "8080")),
                grpc_port=int(environment.get("GRPC_PORT", "8081")),
                online_store=environment.get("ONLINE_STORE") or None,
                drain_seconds=float(environment.get("DRAIN_SECONDS", "3")),
            )
        except ValueError as error:
            raise model.Unfit(
                f"PORT, GRPC_PORT and DRAIN_SECONDS must be numbers: {error}"
            ) from error


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        # Ours drain first; uvicorn's would close the door at once and exit with the signal's code.
        yield


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; liveness answers from the start, readiness after loading.

    Raises `model.Unfit` when the model must not be served, OSError when a port cannot be had.
    """
    service = Service(
        name=settings.name,
        version=settings.version,
        metrics=Metrics(settings.name, settings.version),
    )
    _count_dropped_lines(service)
    sampled = service.sampled = requestlog.start(os.environ, service)
    rest = _rest(web.create(service), settings.port)
    grpc = grpc_server.Server(service, settings.grpc_port)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        rest.should_exit = True

    def drain() -> None:
        if service.draining:
            stop()
        else:
            service.draining = True
            logs.write("draining", seconds=settings.drain_seconds)
            loop.call_later(settings.drain_seconds, stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)

    async def load() -> None:
        try:
            await _load(service, settings)
        except BaseException:
            stop()
            raise

    loading = asyncio.create_task(load())
    sweeping = asyncio.create_task(connection.sweep(rest.server_state.connections))
    await grpc.start()
    await rest.serve()
    sweeping.cancel()
    await grpc.stop()
    if sampled is not None:
        await asyncio.to_thread(sampled.close)
    if loading.done():
        loading.result()
    else:
        loading.cancel()


def _count_dropped_lines(service: Service) -> None:
    labels = {"model": service.name, "version": service.version}
    dropped = Counter(
        "log_lines_dropped",
        "Lines of the log that nobody read in time.",
        tuple(labels),
        registry=service.metrics.registry,
    ).labels(**labels)
    logs.count_dropped(dropped.inc)


def _rest(app: edge.App, port: int) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host="0.0.0.0",  # noqa: S104 - a pod's own address
            port=port,
            interface="asgi3",
            http=connection.of(app),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here looks at the client's address
            timeout_graceful_shutdown=_IN_FLIGHT_SECONDS,
        )
    )


async def _load(service: Service, settings: Settings) -> None:
    loaded = await asyncio.to_thread(_verified, settings)
    if loaded.info.name != settings.name:
        raise model.Unfit(
            f"the weights are of model {loaded.info.name}, MODEL_NAME is {settings.name}"
        )
    if settings.online_store is not None:
        service.online = _online(loaded, settings.online_store)
    # What is alive now stays: the collector need not look at it at every request.
    gc.collect()
    gc.freeze()
    service.serve(loaded)
    logs.write("ready", model=settings.name, version=settings.version)


def _verified(settings: Settings) -> model.Model:
    verify.verify(settings.folder, settings.signature, settings.signer)
    return model.load(settings.folder, settings.weights)


def _online(loaded: model.Model, store: str) -> OnlineRows:
    from app.serving import online  # Redis' client is loaded only where there is one

    if loaded.info.key is None:
        raise model.Unfit("ONLINE_STORE is set, but model.json names no key to ask it by")
    try:
        return online.connect(
            store, model=loaded.info.name, key=loaded.info.key, schema=loaded.schema
        )
    except ValueError as error:
        raise model.Unfit(str(error)) from error


def main() -> int:
    """Run; 0 after a drain, 3 with the reason in TERMINATION_LOG for an unfit model."""
    logging.basicConfig(handlers=[logs.JsonHandler()], level=logging.WARNING)
    try:
        settings = Settings.read(os.environ)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except model.Unfit as error:
        logs.write("unfit", reason=str(error))
        # Kubernetes shows this file as the pod's reason; elsewhere it may not be writable.
        with contextlib.suppress(OSError):
            Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log")).write_text(str(error))
        return UNFIT
    finally:
        logs.drain()
    return 0


if __name__ == "__main__":
    sys.exit(main())
