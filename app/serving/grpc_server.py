"""The gRPC port of the server, beside REST on the same event loop."""

import asyncio

import h2corn

from app.serving import grpc_health, grpc_infer
from app.serving.grpc_call import Bounds, Calls
from app.serving.service import Service

_CONNECTIONS = 512
_STREAMS = 128
"""Calls at once on a connection."""
_CALLS = 1024
"""Calls at once in all; far more than may wait for a prediction, which is refused with a reason."""
_WINDOW_BYTES = 1 << 16
"""What a client may send before it is read: of a call, and of a whole connection."""
_HEADER_BYTES = 16 << 10
_IN_FLIGHT_SECONDS = 15.0


class Server:
    """HTTP/2 is spoken by h2corn, in threads of its own that hold no lock of Python's; calls are
    answered on the event loop that `start` runs in."""

    def __init__(self, service: Service, port: int, bounds: Bounds | None = None) -> None:
        bounds = bounds or Bounds()
        calls = Calls(
            service,
            bounds,
            {**grpc_infer.methods(service), **grpc_health.methods(service)},
            grpc_health.streams(service),
        )
        # The application bounds bodies itself, and earlier: a client is then told by a status.
        backstop = h2corn.RequestPolicy(
            path="/*",
            max_request_body_size=2 * bounds.message_bytes,
            timeout_request_body_idle=bounds.receive_seconds,
            h2_timeout_response_stall=bounds.receive_seconds,
        )
        config = h2corn.Config(
            bind=(f"0.0.0.0:{port}",),
            grpc=True,
            http1=False,
            lifespan="off",
            access_log=False,
            log_format="json",
            date_header=False,
            runtime_threads=1,
            limit_connections=_CONNECTIONS,
            limit_concurrency=_CALLS,
            max_concurrent_streams=_STREAMS,
            limit_request_fields=64,
            h2_max_header_list_size=_HEADER_BYTES,
            h2_max_header_block_size=_HEADER_BYTES,
            h2_initial_stream_window_size=_WINDOW_BYTES,
            h2_initial_connection_window_size=_WINDOW_BYTES,
            h2_timeout_write=bounds.receive_seconds,
            request_policies=(backstop,),
            timeout_graceful_shutdown=_IN_FLIGHT_SECONDS,
            timeout_keep_alive=300.0,
        )
        self._server = h2corn.Server(calls, config)
        self._serving: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Host and port that are listened on, once started."""
        return self._server.addresses[0]

    async def start(self) -> None:
        """Listen; raises OSError when the port cannot be had."""
        self._serving = asyncio.create_task(self._server.serve())
        await self._server.wait_started()

    async def stop(self) -> None:
        """Take no new calls, and wait for those in flight."""
        if self._serving is not None:
            self._server.shutdown()
            await self._serving
