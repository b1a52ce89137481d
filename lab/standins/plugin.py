"""Runs a stand-in as a plugin of the engine: a gRPC server whose port is printed first."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lab.standins.engine import EngineLog
from lab.standins.provider import Provider
from lab.standins.service import Service

_MESSAGE_LIMIT = 400 << 20  # bytes; the engine's own limit
_WORKERS = 256  # an operation that waits holds a thread


def serve(provider: Provider) -> None:
    """Serves the provider until the engine ends this process, or is gone itself."""
    server = new_server()
    log = EngineLog(sys.argv[1]) if len(sys.argv) > 1 else None
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Service(provider, log), server)
    run(server)


def new_server() -> grpc.Server:
    """A server that takes messages as large as the engine's."""
    limits = ("grpc.max_receive_message_length", "grpc.max_send_message_length")
    return grpc.server(
        ThreadPoolExecutor(_WORKERS), options=[(limit, _MESSAGE_LIMIT) for limit in limits]
    )


def run(server: grpc.Server) -> None:
    """Starts the server, prints its port, and ends with the process that started this one."""
    # The engine's way to end a plugin; Python's own handler would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = os.getppid()
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while os.getppid() == parent:
        server.wait_for_termination(timeout=1)
