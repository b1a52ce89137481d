"""The routes: health, predictions in three forms, metrics, and what describes them."""

import msgspec

from app.serving import bodies, edge, inference, metrics, openapi
from app.serving.edge import Page
from app.serving.service import Service


def create(service: Service, bounds: edge.Bounds | None = None) -> edge.App:
    """The whole server as an ASGI application."""
    model = f"/v2/models/{service.name}"
    version = f"{model}/versions/{service.version}"
    tells: dict[str, edge.Tell] = {
        "/v2/health/live": _live,
        "/v2/health/ready": _ready,
        f"{model}/ready": _ready,
        f"{version}/ready": _ready,
        "/v2": _server_metadata,
        model: _model_metadata,
        version: _model_metadata,
        "/ping": _ready,
        "/health": _ready,
        "/version": _version,
        "/metrics": _metrics,
        "/openapi.json": _openapi,
    }
    asks: dict[str, edge.Ask] = {
        "/predict": bodies.predict,
        f"{model}/infer": bodies.infer,
        f"{version}/infer": bodies.infer,
        "/invocations": bodies.invocations,
    }
    return edge.App(service, bounds or edge.Bounds(), tells, asks)


def _live(service: Service) -> Page:
    return Page(b'{"live":true}')


def _ready(service: Service) -> Page:
    return Page(b'{"ready":true}') if service.ready else Page(b'{"ready":false}', 503)


def _server_metadata(service: Service) -> Page:
    return Page(msgspec.json.encode(inference.server_metadata(service)))


def _model_metadata(service: Service) -> Page:
    return Page(msgspec.json.encode(inference.model_metadata(service)))


def _version(service: Service) -> Page:
    return Page(service.version.encode(), media=b"text/plain; charset=utf-8")


def _metrics(service: Service) -> Page:
    return Page(service.metrics.render(), media=metrics.CONTENT_TYPE.encode())


def _openapi(service: Service) -> Page:
    model = service.loaded()
    key = model.info.key if service.online is not None else None
    document = openapi.document(service.name, service.version, model.schema, key)
    return Page(msgspec.json.encode(document))
