"""The routes: health, Open Inference Protocol v2, /predict, /metrics, the API's description."""

import time
from collections.abc import Callable

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, HTTPExceptionHandler

from app.serving import edge, inference, metrics, openapi
from app.serving.service import Rejected, Service

_JSON = "application/json"


def create(service: Service, bounds: edge.Bounds | None = None) -> ASGIApp:
    """The whole server as an ASGI application."""
    model = f"/v2/models/{service.name}"
    version = f"{model}/versions/{service.version}"

    async def live(request: Request) -> Response:
        return Response(b'{"live":true}', media_type=_JSON)

    async def ready(request: Request) -> Response:
        if service.ready:
            return Response(b'{"ready":true}', media_type=_JSON)
        return Response(b'{"ready":false}', 503, media_type=_JSON)

    async def predict(request: Request) -> Response:
        return _timed(service, inference.predict, await request.body())

    async def infer(request: Request) -> Response:
        return _timed(service, inference.infer, await request.body())

    async def server_metadata(request: Request) -> Response:
        return Response(inference.server_metadata(service), media_type=_JSON)

    async def model_metadata(request: Request) -> Response:
        return Response(inference.model_metadata(service), media_type=_JSON)

    async def describe(request: Request) -> Response:
        document = openapi.document(service.name, service.version, service.loaded().schema)
        return Response(msgspec.json.encode(document), media_type=_JSON)

    async def expose(request: Request) -> Response:
        return Response(service.metrics.render(), headers={"content-type": metrics.CONTENT_TYPE})

    async def reject(request: Request, error: Exception) -> Response:
        if not isinstance(error, Rejected):
            raise error
        return edge.rejection(service, request.scope["ferry.id"], error)

    routes = [
        Route("/predict", predict, methods=["POST"]),
        Route(f"{model}/infer", infer, methods=["POST"]),
        Route(f"{version}/infer", infer, methods=["POST"]),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route(f"{model}/ready", ready),
        Route(f"{version}/ready", ready),
        Route("/v2", server_metadata),
        Route(model, model_metadata),
        Route(version, model_metadata),
        Route("/metrics", expose),
        Route("/openapi.json", describe),
    ]
    handlers: dict[type[Exception], HTTPExceptionHandler] = {
        Rejected: reject,
        HTTPException: _no_such_route,
        Exception: _pass_on,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return edge.Edge(app, service, bounds or edge.Bounds())


def _timed(service: Service, answer: Callable[[Service, bytes], bytes], body: bytes) -> Response:
    begun = time.perf_counter()
    response = Response(answer(service, body), media_type=_JSON)
    service.metrics.latency.observe(time.perf_counter() - begun)
    return response


async def _pass_on(request: Request, error: Exception) -> Response:
    # To the edge, which answers in JSON; Starlette's own answer is plain text.
    raise error


async def _no_such_route(request: Request, error: Exception) -> Response:
    status, headers = (
        (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    )
    body = {
        "error": "no such route; /openapi.json lists them all",
        "code": "method" if status == 405 else "route",
        "problems": [],
        "requestId": request.scope["ferry.id"],
    }
    return Response(msgspec.json.encode(body), status, headers, _JSON)
