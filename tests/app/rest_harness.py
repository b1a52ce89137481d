"""A REST server with narrow bounds on a loop of its own, and a client of bare sockets."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop

from app.serving import connection, edge, web
from app.serving.service import Service

BOUNDS = edge.Bounds(
    receive_seconds=0.6, idle_seconds=0.6, connections=4, head_bytes=4096, dropped_bytes=8 << 20
)
HEAD = b"POST /predict HTTP/1.1\r\nhost: t\r\n"


@contextmanager
def serving(service: Service) -> Generator[int]:
    """The port of a server with narrow bounds, on a loop of its own."""
    app = web.create(service, BOUNDS)
    config = uvicorn.Config(
        app, interface="asgi3", http=connection.of(app), log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))

    async def serve() -> None:
        sweeping = asyncio.create_task(connection.sweep(server.server_state.connections))
        await server.serve([listening])
        sweeping.cancel()

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    thread = threading.Thread(target=lambda: runner.run(serve()))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        runner.close()


def opened(port: int, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(sent)
    return client


def answered(client: socket.socket) -> tuple[int, dict[str, Any], http.client.HTTPResponse]:
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, json.loads(answer.read()), answer


def scored(port: int, loan: dict[str, Any]) -> bool:
    body = json.dumps(loan).encode()
    with opened(port, HEAD + b"content-length: %d\r\n\r\n" % len(body) + body) as client:
        return answered(client)[0] == 200
